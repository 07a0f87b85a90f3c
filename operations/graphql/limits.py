"""How much one query may ask for: it is a program that strangers send, and each limit is a kind of work it causes."""

from __future__ import annotations

# Reading the text takes up to 40 us a token, so this is at most 0.2 s; a screen full of query has some 300 tokens.
MAX_TOKENS = 4_000
MAX_QUERY_CHARS = 20_000
# Selections inside selections. The deepest data types (Questionnaire.item ... item) are seldom followed further.
MAX_DEPTH = 24
# Fields of the query with its fragments spread out: fragments in fragments can make millions of a few lines.
MAX_FIELDS = 1_000
# Selections looked at in planning, once for each type they may be on, some 5 us each.
MAX_PLANNED = 50_000
# Resources read for one answer, about 30 us each to read and decode. REST pages hold a thousand.
MAX_RESOURCES = 5_000
# Commands beside those that read the references of a level: searches, of which only lists without _count share one,
# and old versions.
MAX_COMMANDS = 100
# Values in the answer, a long text counts as several: at most some 16 MB, made in half a second.
MAX_VALUES = 250_000
# Queries and expressions that are kept, for applications send the same few again and again, and the characters of one
# worth keeping: in memory a query is at most 300 bytes a character, an expression 100.
KEPT = 64
MAX_KEPT_CHARS = 2_000
# Characters of one FHIRPath; the longest of FHIR's own invariants has some 800.
MAX_FHIRPATH_CHARS = 2_000
# Steps of FHIRPath on one list, and seconds for all of them together.
MAX_FHIRPATH_STEPS = 100_000
MAX_FHIRPATH_SECONDS = 1.0
# Entries of a connection's page where _count does not say, and the most it may say.
PAGE = 50
MAX_PAGE = 1_000
# Resources whose reverse references are searched for in one command.
TOGETHER = 50
