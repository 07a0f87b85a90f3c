"""Items that wait for each other: by enableWhen, or because what is below an item waits for it.

https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen
"""

from __future__ import annotations

from fhir_server.validation.questionnaires.definition import Form, Item, conditions


def circles_of(form: Form) -> list[Item]:
    """Return one item of every circle, that whose condition closes it; one that asks about itself is no circle."""
    found: list[Item] = []
    done: set[Item] = set()
    for start in form.items:
        if start not in done:
            found += _from(start, form, done)
    return found


def _from(start: Item, form: Form, done: set[Item]) -> list[Item]:
    """Walk depth first with a stack of our own: chains may be as long as the Questionnaire."""
    found: list[Item] = []
    under_way = {start}
    stack = [(start, iter(_awaited(start, form)))]
    while stack:
        item, rest = stack[-1]
        following = next(rest, None)
        if following is None:
            stack.pop()
            under_way.discard(item)
            done.add(item)
        elif following in under_way:
            found.append(item)
        elif following not in done:
            under_way.add(following)
            stack.append((following, iter(_awaited(following, form))))
    return found


def _awaited(item: Item, form: Form) -> list[Item]:
    questions = (form.by_link.get(str(row.get("question"))) for row in conditions(item))
    found = [question for question in questions if question is not None and question is not item]
    return [item.parent, *found] if item.parent is not None else found
