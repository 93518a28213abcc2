import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.evaluation.breakdown import LIMIT, groups

values = (
    st.integers(-40, 40) | st.floats() | st.text(max_size=3) | st.booleans() | st.just(["a", "b"])
)
attributes = st.lists(
    st.dictionaries(st.sampled_from(["scale", "count"]), values, max_size=2), max_size=40
)


@given(attributes)
@settings(max_examples=100, deadline=None)
def test_every_query_is_in_exactly_one_group_of_each_attribute(found):
    made = groups(found)
    assert {g.attribute for g in made} == {name for a in found for name in a}
    for name in {g.attribute for g in made}:
        members = [i for g in made if g.attribute == name for i in g.members]
        assert sorted(members) == list(range(len(found)))
        assert sum(g.attribute == name for g in made) <= LIMIT + 1  # and (none)


def labels(values_, **options):
    return [(g.value, g.members) for g in groups([{"x": v} for v in values_], **options)]


def test_few_numbers_are_listed_in_order():
    assert labels([10, 2, 10, 0.5]) == [("0.5", (3,)), ("2", (1,)), ("10", (0, 2))]


def test_many_numbers_are_cut_into_quarters():
    made = labels(range(100))
    assert [len(members) for _, members in made] == [25, 25, 25, 25]
    assert made[0][0] == "0 to 24.75"
    assert made[-1] == ("74.25 to 99", tuple(range(75, 100)))


def test_many_equal_numbers_stay_together():
    made = labels([0] * 80 + list(range(1, 21)))
    assert sum(set(range(80)) <= set(members) for _, members in made) == 1


def test_numbers_that_no_float_holds_are_names():
    assert labels([10**400, 1]) == [("1", (1,)), (str(10**400), (0,))]
    made = labels([10**300, *range(99)])  # which a float holds, and 64 bits do not
    assert [len(members) for _, members in made] == [25, 25, 25, 25]


def test_rare_names_are_gathered_at_the_end():
    made = labels(["a"] * 3 + ["b"] * 2 + ["c", "d"], limit=3)
    assert made == [("a", (0, 1, 2)), ("b", (3, 4)), ("(other)", (5, 6))]


@pytest.mark.parametrize("flag", [True, False])
def test_truth_values_are_names(flag):
    assert labels([flag]) == [(str(flag), (0,))]


def test_what_lacks_an_attribute_has_a_group():
    assert [(g.value, g.members) for g in groups([{}, {"x": 1}])] == [("1", (1,)), ("(none)", (0,))]


def test_no_attributes_no_groups():
    assert groups([{}, {}]) == ()
