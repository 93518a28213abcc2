"""What hosts say: sentences with blanks, by purpose.

Blanks: {kind} what it is, {thing} a loose word for it, {variety} its attributes in words,
{brand}, {part} half of its name, {price}, {old}, {other} how another product differs,
{okind} what that other product is, {claim}, {n} a small number.
"""

from __future__ import annotations

from sgmn.synth.word_lists import listed

GREETING = (
    "hi everyone welcome to the live",
    "good evening my loves thank you for being here",
    "hello hello can you all hear me okay",
    "welcome back to those who were here yesterday",
    "hi {friend} nice to see you again",
    "so many of you tonight thank you for joining",
)
CHATTER = (
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
CLAIMS = (
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
PRICE = (
    "normally it is {old} and today only {price}",
    "for {price} you cannot go wrong",
    "{price} only here in the live",
    "the price is {price} link number {n}",
    "I give it to you for {price} tonight",
    "buy {n} and the shipping is free",
    "down from {old} to {price}",
    "if you compare the price with the shops outside wow",
)
URGE = (
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
KIND = (
    "if you need a {kind} this is the one",
    "this {kind} is something else",
    "I was looking for a good {kind} for so long",
    "it is a very nice {kind}",
    "the {kind} I told you about",
    "we have this {kind} again finally",
)
VARIETY = (
    "this is the {variety} one",
    "I am showing you the {variety} one now",
    "{variety} is my favourite to be honest",
    "the {variety} is back in stock",
    "here you see it is {variety}",
    "{variety} guys the {variety} one",
    "somebody asked for {variety} so here it is",
    "you know the {variety} one sells best",
)
NAME = (
    "it is from {brand}",
    "{brand} you all know {brand}",
    "it is called {part} something",
    "the {part} one from {brand}",
    "the {part} series",
    "they call it {part}",
    "{brand} makes really good things",
    "this {part} {kind}",
)
COMPARE = (
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
FRIENDS = listed("anna lucy mike sarah tommy nina carlos emma jack mei olga sam")
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
THINGS = ("this one", "this", "this little one", "this beauty", "this thing", "that one")

CLAIM_WORDS = {
    "Drinks": listed("refreshing creamy sweet organic light tasty healthy smooth"),
    "Food": listed("tasty crunchy natural fresh rich delicious healthy filling"),
    "Beauty": listed("gentle soft soothing light natural hydrating sensitive nourishing"),
    "Kitchen": listed("sturdy pretty handy heavy durable solid"),
    "Fashion": listed("comfortable stylish light warm soft trendy practical"),
    "Home": listed("cosy pretty soft warm decorative elegant solid"),
    "Toys": listed("cute soft cuddly washable adorable sweet fluffy"),
    "Electronics": listed("loud clear light comfortable powerful wireless solid"),
    "Stationery": listed("pretty handy thick smooth elegant practical sturdy"),
}
