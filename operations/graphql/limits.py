"""How much one query may ask for: it is a program that strangers send, and each limit is a kind of work it causes."""

from __future__ import annotations

# Reading the text takes about 7 us a token, most tokens are of several characters; this is at most some 50 ms.
MAX_QUERY_CHARS = 20_000
# Selections inside selections. The deepest data types (Questionnaire.item ... item) are seldom followed further.
MAX_DEPTH = 24
# Fields of the query with its fragments spread out: fragments in fragments can make millions of a few lines.
MAX_FIELDS = 2_000
# Resources read for one answer, about 30 us each to read and decode. REST pages hold a thousand.
MAX_RESOURCES = 5_000
# Searches that cannot share a command: connections and lists with _count below many resources.
MAX_SEARCHES = 100
# Values in the answer: some 20 MB of it.
MAX_VALUES = 500_000
# Steps of FHIRPath for each list that is filtered.
MAX_FHIRPATH_STEPS = 100_000
# Entries of a connection's page where _count does not say, and the most it may say.
PAGE = 50
MAX_PAGE = 1_000
# Resources whose reverse references are searched for in one command.
TOGETHER = 50
