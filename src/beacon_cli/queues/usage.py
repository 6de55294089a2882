"""The limits of each user: which of them holds a request or a ticket back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache

from beacon_cli import granting
from beacon_cli.names import quoted
from beacon_cli.tickets import Caps, Request, Ticket

HOUR = 3600.0


def waiting(caps: Caps, request: Request, tickets: Iterable[Ticket]) -> str:
    """Why the user may not have one more run waiting; empty if they may. A run that is in the queue may go on."""
    if caps.jobs_waiting is None:
        return ""
    theirs = [each for each in tickets if each.user == request.user and not granting.is_cancelled(each)]
    runs = {each.run_id for each in theirs}
    active = {each.run_id for each in theirs if each.is_active}
    if request.run_id in runs or len(runs - active) < caps.jobs_waiting:
        return ""
    waits = len(runs - active)
    return f"jobs of user {quoted(request.user)} that wait: {waits}; allowed: {caps.jobs_waiting}"


def held(caps: Caps, ticket: Ticket, tickets: Iterable[Ticket], asked: int) -> str:
    """Why a user's limits hold a ticket back, empty if not. `asked`: executions granted in the last hour."""
    if caps.jobs_running is not None:
        running = {each.run_id for each in tickets if each.user == ticket.user and each.is_active} - {
            ticket.run_id
        }
        if len(running) >= caps.jobs_running:
            return f"jobs of user {quoted(ticket.user)} that run: {len(running)}; allowed: {caps.jobs_running}"
    if caps.executions_per_hour is not None and asked + ticket.executions > caps.executions_per_hour:
        return (
            f"executions of user {quoted(ticket.user)} within the hour: {asked}, and {ticket.executions} more"
            f" here; allowed: {caps.executions_per_hour}"
        )
    return ""


def all_held(
    caps: Caps, waiting: Iterable[Ticket], active: Sequence[Ticket], asked: Callable[[str], int]
) -> dict[int, str]:
    """Which of those that wait their users' limits hold back, by number, and why.

    `active` reserve GPUs; `asked(user)` gives the executions that were granted in the last hour.
    """
    if caps.jobs_running is None and caps.executions_per_hour is None:
        return {}
    count = cache(asked)
    reasons = ((each.id, held(caps, each, active, count(each.user))) for each in waiting)
    return {number: reason for number, reason in reasons if reason}
