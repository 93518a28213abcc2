"""Sentences of presenters, grouped by purpose, with fields in braces.

Fields: {this} an informal reference to the product, {kind} its kind, {variety} one of its
attributes, {brand}, {part} one word of its name, {price}, {old} the former price, {claim} and
{claim2} praise, {n} a small number, {friend} a viewer, {other} an attribute of another product,
{okind} the kind of that product.
"""

from __future__ import annotations

from sgmn.synth.word_lists import split_words

GREETINGS = (
    "hi everyone welcome to the live",
    "good evening my loves thank you for being here",
    "hello hello can you all hear me okay",
    "welcome back to those who were here yesterday",
    "hi {friend} nice to see you again",
    "so many of you tonight thank you for joining",
)
SMALL_TALK = (
    "let me just have a sip of water",
    "tell me in the chat where you are watching from",
    "don't forget to follow the channel",
    "give me some hearts if you can hear me",
    "we will go on in a moment",
    "I am reading your comments one second",
    "thank you {friend} for the gift",
    "somebody asks about shipping it is {n} to five days",
    "we are here until midnight tonight",
    "wait a second I need to find the next one",
    "the weather today is crazy right",
    "yes {friend} I can hear you too",
    "who is here for the first time",
    "let me see what comes next on my list",
)
HANDLING = (
    "look at {this}",
    "let me turn it around for you",
    "I will hold it closer to the camera",
    "can you see it okay",
    "this is how it looks from the side",
    "and here on the back",
    "let me put it down here for a second",
    "just look at the size of it in my hand",
    "see the front here",
    "so this is the one",
    "I have {this} right here in my hand",
)
PRAISE = (
    "honestly it is {claim}",
    "everybody says it is {claim}",
    "what I like is that it is {claim}",
    "it is {claim} and {claim2}",
    "my sister bought {n} of them because it is {claim}",
    "I use it every single day it is so {claim}",
    "you will not find anything this {claim}",
    "it is really {claim} believe me",
    "{claim} and {claim2} what more do you want",
)
PRICES = (
    "normally it is {old} and today only {price}",
    "for {price} you cannot go wrong",
    "{price} only here in the live",
    "the price is {price} link number {n}",
    "I give it to you for {price} tonight",
    "buy {n} and the shipping is free",
    "down from {old} to {price}",
    "if you compare the price with the shops outside wow",
)
CALLS_TO_ACTION = (
    "we only have {n} left",
    "put it in your cart now",
    "the link is down below",
    "hurry up it goes fast",
    "last time it was sold out in {n} minutes",
    "just tap the link",
    "three two one go",
    "whoever wants it write one in the chat",
    "orders go out tomorrow",
)
KINDS = (
    "if you need a {kind} this is the one",
    "this {kind} is something else",
    "I was looking for a good {kind} for so long",
    "it is a very nice {kind}",
    "the {kind} I told you about",
    "we have this {kind} again finally",
)
VARIETIES = (
    "this is the {variety} one",
    "I am showing you the {variety} one now",
    "{variety} is my favourite to be honest",
    "the {variety} is back in stock",
    "here you see it is {variety}",
    "{variety} guys the {variety} one",
    "somebody asked for {variety} so here it is",
    "you know the {variety} one sells best",
)
BRANDS_AND_NAMES = (
    "it is from {brand}",
    "{brand} you all know {brand}",
    "it is called {part} something",
    "the {part} one from {brand}",
    "the {part} series",
    "they call it {part}",
    "{brand} makes really good things",
    "this {part} {kind}",
)
COMPARISONS = (
    "not the {other} one that is another link",
    "compared with the {other} one I like this more",
    "there is also one in {other} but that is not today",
    "the {other} one we had before",
    "{friend} asks about the {other} one later my dear",
    "it goes well with the {okind} over there",
    "unlike the {okind} behind me",
    "the {other} is nice too but look at this",
    "don't mix it up with the {other} one",
)
VIEWERS = split_words("anna lucy mike sarah tommy nina carlos emma jack mei olga sam")
OPENERS = (
    "so",
    "okay",
    "and",
    "guys",
    "listen",
    "now",
    "alright",
    "my dears",
    "you know",
    "well",
    "look",
    "yes",
    "oh",
    "and then",
    "but",
)
TAGS = ("right", "okay", "you see", "I promise", "really", "guys", "believe me", "trust me", "yeah")
PRODUCT_REFERENCES = (
    "this one",
    "this",
    "this little one",
    "this beauty",
    "this thing",
    "that one",
)

PRAISE_WORDS = {
    "Drinks": split_words("refreshing creamy sweet organic light tasty healthy smooth"),
    "Food": split_words("tasty crunchy natural fresh rich delicious healthy filling"),
    "Beauty": split_words("gentle soft soothing light natural hydrating sensitive nourishing"),
    "Kitchen": split_words("sturdy pretty handy heavy durable solid"),
    "Fashion": split_words("comfortable stylish light warm soft trendy practical"),
    "Home": split_words("cosy pretty soft warm decorative elegant solid"),
    "Toys": split_words("cute soft cuddly washable adorable sweet fluffy"),
    "Electronics": split_words("loud clear light comfortable powerful wireless solid"),
    "Stationery": split_words("pretty handy thick smooth elegant practical sturdy"),
}
