"""Pages of a list, newest first, as Stripe cuts them. Leaves filters to the handlers."""

from collections.abc import Sequence

from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, missing
from stripe_sandbox.kinds import Json
from stripe_sandbox.store import Where, field_is

_DEFAULT = 10
_MOST = 100
_RANGE = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def page(call: Call, kind: str, url: str, where: Sequence[Where] = ()) -> Json:
    """Return one page of the objects of a kind that meet all conditions."""
    limit = limit_of(call)
    after = call.params.get("starting_after")
    before = call.params.get("ending_before")
    if after and before:
        message = "You cannot use both `starting_after` and `ending_before`."
        raise ApiError(message, param="ending_before")
    conditions = [*where, *created(call)]
    if after:
        conditions.append(Where("seq < ?", (_place(call, kind, after, "starting_after"),)))
    if before:
        conditions.append(Where("seq > ?", (_place(call, kind, before, "ending_before"),)))
    found = call.store.find(kind, conditions, limit=limit + 1, oldest_first=bool(before))
    data = found[:limit]
    if before:
        data.reverse()
    return {"object": "list", "data": data, "has_more": len(found) > limit, "url": url}


def limit_of(call: Call) -> int:
    """Return the page size; raises unless it is between 1 and 100."""
    limit = call.params.get("limit", _DEFAULT)
    if limit < 1 or limit > _MOST:
        bound = "greater than or equal to 1" if limit < 1 else f"less than or equal to {_MOST}"
        message = f"Invalid integer: {limit} (must be {bound})."
        raise ApiError(message, code="parameter_invalid_integer", param="limit")
    return int(limit)


def whole(items: Sequence[Json], url: str) -> Json:
    """Return a list that is always sent in one piece."""
    return {"object": "list", "data": list(items), "has_more": False, "url": url}


def slice_of(call: Call, items: Sequence[Json], url: str) -> Json:
    """Return one page of objects that are in memory, in the order given."""
    limit = limit_of(call)
    start, end = 0, len(items)
    ids = [item["id"] for item in items]
    for param in ("starting_after", "ending_before"):
        wanted = call.params.get(param)
        if wanted and wanted not in ids:
            raise missing("item", wanted, param=param)
    if call.params.get("starting_after"):
        start = ids.index(call.params["starting_after"]) + 1
    if call.params.get("ending_before"):
        end = ids.index(call.params["ending_before"])
        start = max(0, end - limit)
    data = list(items[start : min(end, start + limit)])
    more = start > 0 if call.params.get("ending_before") else end > start + limit
    return {"object": "list", "data": data, "has_more": more, "url": url}


def created(call: Call) -> list[Where]:
    """Return the conditions of the ``created`` parameter: a time, or bounds."""
    return within(call, "created", "created")


def within(call: Call, name: str, column: str) -> list[Where]:
    """Return the conditions of a parameter that is a time, or bounds of one."""
    given = call.params.get(name)
    if given is None:
        return []
    if isinstance(given, int):
        return [Where(f"{column} = ?", (given,))]
    return [Where(f"{column} {_RANGE[bound]} ?", (value,)) for bound, value in given.items()]


def matching(call: Call, *names: str) -> list[Where]:
    """Return the conditions for parameters that are fields of the same name."""
    return [field_is(name, call.params[name]) for name in names if call.params.get(name) is not None]


def _place(call: Call, kind: str, object_id: str, param: str) -> int:
    seq = call.store.seq(object_id, kind)
    if seq is None:
        raise missing(kind, object_id, param=param)
    return seq
