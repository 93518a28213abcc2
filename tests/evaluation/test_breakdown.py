import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.evaluation.breakdown import MAX_GROUPS, group_by_attributes

values = (
    st.integers(-40, 40) | st.floats() | st.text(max_size=3) | st.booleans() | st.just(["a", "b"])
)
attributes = st.lists(
    st.dictionaries(st.sampled_from(["scale", "count"]), values, max_size=2), max_size=40
)


@given(attributes)
@settings(max_examples=100, deadline=None)
def test_every_query_is_in_exactly_one_group_of_each_attribute(rows):
    groups = group_by_attributes(rows)
    assert {g.attribute for g in groups} == {name for row in rows for name in row}
    for name in {g.attribute for g in groups}:
        members = [i for g in groups if g.attribute == name for i in g.members]
        assert sorted(members) == list(range(len(rows)))
        assert sum(g.attribute == name for g in groups) <= MAX_GROUPS + 1  # and (none)


def group(values_, **options):
    return [
        (g.value, g.members) for g in group_by_attributes([{"x": v} for v in values_], **options)
    ]


def test_each_of_a_few_numbers_has_a_group():
    assert group([10, 2, 10, 0.5]) == [("0.5", (3,)), ("2", (1,)), ("10", (0, 2))]


def test_many_numbers_are_split_into_quarters():
    groups = group(range(100))
    assert [len(members) for _, members in groups] == [25, 25, 25, 25]
    assert groups[0][0] == "0 to 24.75"
    assert groups[-1] == ("74.25 to 99", tuple(range(75, 100)))


def test_equal_numbers_share_a_group():
    groups = group([0] * 80 + list(range(1, 21)))
    assert sum(set(range(80)) <= set(members) for _, members in groups) == 1


def test_numbers_too_large_for_a_float_are_names():
    assert group([10**400, 1]) == [("1", (1,)), (str(10**400), (0,))]
    groups = group([10**300, *range(99)])  # fits into a float, but not into 64 bits
    assert [len(members) for _, members in groups] == [25, 25, 25, 25]


def test_rare_names_share_the_last_group():
    groups = group(["a"] * 3 + ["b"] * 2 + ["c", "d"], max_groups=3)
    assert groups == [("a", (0, 1, 2)), ("b", (3, 4)), ("(other)", (5, 6))]


@pytest.mark.parametrize("flag", [True, False])
def test_booleans_are_names(flag):
    assert group([flag]) == [(str(flag), (0,))]


def test_queries_without_an_attribute_have_a_group():
    assert [(g.value, g.members) for g in group_by_attributes([{}, {"x": 1}])] == [
        ("1", (1,)),
        ("(none)", (0,)),
    ]


def test_queries_without_attributes_have_no_groups():
    assert group_by_attributes([{}, {}]) == ()
