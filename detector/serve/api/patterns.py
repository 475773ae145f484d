"""The catalogue: rules and signatures in force, and how often a signature was met.

In: ids, times. Out: what the pattern files say.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from detector.catalogue import Rule, Signature
from detector.catalogue.entries import RuleSwitch, RuleType
from detector.model import Severity
from detector.render.objects import as_object
from detector.render.units import Bucket
from detector.serve.api.models import model_of
from detector.serve.api.params import LIST, ONE, Parameters, existing, span
from detector.serve.deps import catalogue, history
from detector.store.query.filters import FIELDS

router = APIRouter(prefix="/api/v1", tags=["catalogue"])
_BUCKET = model_of(Bucket)
_WEEK_US = 7 * 86_400_000_000


class RuleItem(BaseModel):
    """A rule: what must meet within what time."""

    id: str
    title: str
    type: RuleType
    classes: list[str]
    signatures: list[str]
    anchor: str
    group_by: list[str]
    timespan_us: int
    severity: Severity
    reasoning: str
    gte: int
    switch: RuleSwitch | None = Field(serialization_alias="setting")
    path: str


class SignatureItem(BaseModel):
    """A signature: which lines it claims, and what they mean."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    class_: str = Field(alias="class")
    origin: Literal["kernel", "user"]
    severity: Severity
    title: str
    literals: list[str]
    regex: str
    opens: Literal["report", "rest"] | None
    marker: bool
    fallback: bool
    source: str
    meaning: str
    runbook: str
    examples: list[str]
    path: str


class Rules(BaseModel):
    """Every rule."""

    rules: list[RuleItem]


class Signatures(BaseModel):
    """Every signature."""

    signatures: list[SignatureItem]


class SignatureDetail(SignatureItem):
    """A signature with its matches by the hour, hours that have any."""

    hits: list[_BUCKET]  # type: ignore[valid-type]


class HitsParameters(Parameters):
    """Of when hits are asked for."""

    since: str | None = Field(
        default=None, max_length=100, description=f"{FIELDS['since']}; without it a week"
    )
    until: str | None = Field(default=None, max_length=100, description=FIELDS["until"])


@router.get("/rules", summary="Rules in force", responses=LIST)
def rules(request: Request) -> Rules:
    """The rules that raise incidents."""
    return Rules(rules=[_rule(rule) for rule in catalogue(request).rules])


@router.get("/signatures", summary="Signatures in force", responses=LIST)
def signatures(request: Request) -> Signatures:
    """The signatures that lines are recognised by."""
    return Signatures(
        signatures=[
            SignatureItem.model_validate(_signature(item)) for item in catalogue(request).signatures
        ]
    )


@router.get("/signatures/{id}", summary="One signature", responses=ONE)
def signature(
    request: Request,
    id: Annotated[str, Path(max_length=200, description="the id of a signature")],  # noqa: A002
    parameters: Annotated[HitsParameters, Query()],
) -> SignatureDetail:
    """A signature with its matches over time."""
    known = existing(catalogue(request).signature(id), "such signature")
    since, until = span(request, parameters.since, parameters.until)
    end = until if until is not None else request.app.state.clock()
    begin = since if since is not None else end - _WEEK_US
    hits = history(request).signature_hits(id, begin, end)
    return SignatureDetail.model_validate(_signature(known) | {"hits": as_object(hits)})


def _rule(rule: Rule) -> RuleItem:
    return RuleItem.model_validate(
        {name: as_object(getattr(rule, name)) for name in RuleItem.model_fields}
    )


def _signature(item: Signature) -> dict[str, object]:
    names = {name: "cls" if name == "class_" else name for name in SignatureItem.model_fields}
    return {name: as_object(getattr(item, attribute)) for name, attribute in names.items()}
