"""Words that the rules of corruption.py turn on: which are confused, which agree, which are kept as they are."""

import re
from itertools import pairwise

BE_HAVE_DO = (("is", "are"), ("was", "were"), ("has", "have"), ("does", "do"), ("doesn't", "don't"),
              ("isn't", "aren't"), ("wasn't", "weren't"), ("hasn't", "haven't"))  # fmt: skip
AGREEMENT = {a: b for pair in BE_HAVE_DO for a, b in (pair, pair[::-1])}
MODALS = "can could will would should must may might shall didn't don't doesn't won't can't couldn't wouldn't".split()
FORMS_OF_BE = "is are was were am be been isn't aren't wasn't weren't".split()
FUNCTION_WORDS = set(
    "a an the of to in on at for with from by and or but that this these those is are was were has have had will would "
    "can could should must i you he she it we they my your his her its our their not be been as if when than".split()
)
CONFUSABLE = {"their": "there", "there": "their", "its": "it's", "it's": "its", "your": "you're", "you're": "your",
              "than": "then", "then": "than", "too": "to", "whose": "who's", "who's": "whose", "lose": "loose",
              "affect": "effect", "quite": "quiet", "quiet": "quite", "advice": "advise", "where": "were",
              "were": "where", "piece": "peace", "weather": "whether", "whether": "weather", "passed": "past",
              "accept": "except", "know": "now", "through": "threw"}  # fmt: skip
PREPOSITIONS = {"of": ("at",), "to": ("at", "of"), "at": ("of", "to"), "with": ("of", "at"), "from": ("at",),
                "for": ("of", "at"), "by": ("of", "to"), "about": ("at", "from"), "between": ("of", "from"),
                "during": ("of", "while"), "until": ("of", "at"), "into": ("of", "at"), "since": ("from", "of"),
                "in": ("of", "to"), "on": ("of", "to")}  # fmt: skip
OBJECTS = {"I": "me", "he": "him", "she": "her", "we": "us", "they": "them"}
SUBJECTS = {"me": "I", "him": "he", "us": "we", "them": "they"}
COMMON_VERBS = set(
    "want need know think like go make take see come get find give tell work call try ask feel leave keep begin seem "
    "help show hear play run move live believe bring write sit stand lose pay meet learn understand watch follow stop "
    "speak read spend grow open walk win teach offer remember buy wait send build stay hope love prefer agree "
    "expect".split()
)
PLURAL_CUES = set("these those many several few two three four five six seven eight nine ten both various".split())
SINGULAR_CUES = set("a an this every each another one".split())
NOT_PLAIN_S = ("ss", "us", "is", "ous", "ies", "ves", "oes")
LY_KEPT = set("only early family daily really likely friendly lovely elderly hardly lately nearly reply apply supply "
              "italy july ugly silly lonely assembly weekly monthly yearly hourly badly nightly".split())  # fmt: skip
NEIGHBOURS = {a: b for row in ("qwertyuiopo", "asdfghjklk", "zxcvbnmn") for a, b in pairwise(row)}
SWAPPED = ("ie", "ei", "an", "en", "al", "el", "le", "re", "er", "ar", "ce", "th", "ht")

# "a few friends" and "few friends" are both English
QUANTITIES = frozenset("few little lot bit couple great good number".split())
# "the team is" and "the team are" too
COLLECTIVES = frozenset(
    "team family government staff crew committee company group couple band class crowd public police majority press "
    "audience jury board army council party club half rest none any all some most pair data".split()
)
BEGIN_PHRASES = frozenset("the a an my your our".split())
DROPPABLE = frozenset("to of is are was were be been has with".split())
# "help to carry", "all of" and the like stay fluent, or nearly so, without the word that follows
LOOSE_BEFORE = frozenset("help helped all both half outside inside off next".split())

# sound-alike spellings: the end or beginning of a word, or anything in it
PHONETIC = tuple(
    (re.compile(pattern), spelling)
    for pattern, spelling in (("ph", "f"), ("tion", "shun"), ("ight$", "ite"), ("que$", "k"), ("ough$", "uff"),
                              ("ance$", "ense"), ("cious", "shus"), ("^kn", "n"), ("^wr", "r"), ("ible$", "able"),
                              ("ck$", "k"), ("ea(?=[dlmt])", "ee"), ("our$", "er"), ("tch", "ch"), ("dge", "ge"))
)  # fmt: skip
# what is left standing beside the word that was to take its place
LEFTOVERS = {"is": "was", "are": "were", "was": "is", "were": "are", "has": "had", "have": "had", "will": "would",
             "can": "could", "could": "can", "would": "will", "a": "the", "the": "a", "in": "on", "on": "at",
             "at": "in", "with": "by", "from": "of", "for": "to", "because": "since", "very": "really"}  # fmt: skip
