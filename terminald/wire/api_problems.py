"""What the local API says when it refuses: one table of problems, and one of advice for whoever stands at the terminal.

Source of the form: RFC 9457 (``application/problem+json``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from terminald.errors import ApiError
from terminald.wire import api_shapes as shapes

#: Details quote what a caller sent, such as the name of an unknown field; a person reads no more of it than this.
MAX_DETAIL = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemKind:
    """What all problems of one code have in common."""

    status: int
    title: str
    advice: str


def _kind(status: int, title: str, advice: str) -> ProblemKind:
    return ProblemKind(status=status, title=title, advice=advice)


#: What to do about a key that stops sales: a reason of readiness, and a call for a person as well.
_LOST_KEYS: Mapping[str, str] = {
    "key_locked_out": (
        "The gateway accepts no key of this terminal. Get a new activation code, stop terminald, and run: "
        "terminald activate --replace."
    ),
    "key_expired": (
        "The key was not renewed for 48 hours. Check the terminal's network: terminald tries the key by itself, and "
        "says key_locked_out when the gateway accepts it no more."
    ),
}

#: Why a person should look at a sale or at the terminal's key (``attention.code``), and what that person can do.
ATTENTION_ADVICE: Mapping[str, str] = {
    **_LOST_KEYS,
    "checkin_refused": (
        "The gateway refused to renew the terminal's key; the message is in the log. Ask the gateway's operator. Sales "
        "go on with the present key, and terminald asks again after some hours."
    ),
    "checkin_stopped": (
        "The last renewals of the terminal's key had no answer: one more could lock the terminal out. Sales go on "
        "while the key works. Check the network; when the link is good, run: terminald checkin. Have an activation "
        "code ready."
    ),
    "checkin_overdue": (
        "The terminal's key could not be renewed for 36 hours; at 48 hours sales stop. Check the network and the log. "
        "terminald goes on trying; a key that is renewed by hand is as good: terminald checkin."
    ),
    "key_unproven": (
        "For half an hour the gateway has not accepted the key that it gave last; the one before works, is used, and "
        "is renewed. Ask the gateway's operator when it comes again."
    ),
    "journal_damaged": (
        "The journal is damaged: nothing is sold, and nothing in it is changed. On the board, as the service's user, "
        "run: terminald restore. It keeps the damaged files as evidence, and goes on with the weekly copy and all that "
        "can still be read. Then replace the card."
    ),
    "journal_too_new": (
        "The journal was written by a newer terminald: nothing is sold, and nothing in it is changed. Install that "
        "version again; the sales and the terminal's key are all there."
    ),
    "disk_slow": (
        "The disk of the terminal takes longer than a second for one write in a hundred: a card does so before it "
        "dies. Look into the kernel's log, and replace it soon. Sales go on."
    ),
    "answer_mismatch": (
        "The gateway spoke of another terminal, order or amount. Hand nothing over on the strength of it; compare the "
        "order by its sn in the merchant's console. terminald goes on asking."
    ),
    "order_errored": (
        "The gateway reports an error of its own about the order, or about giving its money back. The customer's phone "
        "may show a charge: hand nothing over while the sale is not paid, and call the gateway's customer service with "
        "the sn. terminald goes on asking, and gives back what is to go back. Where a revoke of it is blocked, "
        "close the call, which gives the revoke up, and refund the sale: it can not go back twice."
    ),
    "refund_refused": (
        "The gateway refused to give the money back. Look for the order by its sn in the merchant's console (is the "
        "balance enough?) and refund it there, or wait: terminald tries again. Once it is settled by other means, say "
        "so: terminald attention SALE --code refund_refused --reason TEXT."
    ),
    "refund_open": (
        "Giving money back takes unusually long. Check the network of the terminal; terminald goes on by itself, under "
        "the same number, so that nothing goes back twice."
    ),
    "merchant_balance": (
        "The merchant's balance at the gateway is not enough to give the money back. Top it up; terminald tries again "
        "every hour, and this call ends by itself. Tell the customer that the money will come. Closing the call gives "
        "the refund up: do that only when the customer has the money by other means."
    ),
    "not_refundable": (
        "The gateway does not give this payment back, as it took part in a promotion. Return the money by other means, "
        "or ask the gateway's customer service with the sn; then say so: terminald attention SALE "
        "--code not_refundable --reason TEXT."
    ),
    "order_lost": (
        "The gateway does not know an order any more that it had confirmed. Ask the gateway's customer service with "
        "the sn. terminald goes on asking, and gives back what is to go back. Where a refund of it is blocked, closing "
        "the call gives that up: do that only when the customer has the money by other means."
    ),
    "delivery_overdue": (
        "The sale is paid, and nobody has said whether the goods came out. Look into the machine, then report it: "
        "terminald delivered SALE, or terminald undelivered SALE, which gives the money back. Or answer for the goods "
        "yourself, and the sale is complete: terminald attention SALE --code delivery_overdue --reason TEXT."
    ),
    "delivered_and_returned": (
        "The goods were reported as delivered after the return of their money had begun. Find out why the report came "
        "so late (sale.delivery_window, or the result_window of a vending machine, may be too short); then say so: "
        "terminald attention SALE --code delivered_and_returned --reason TEXT."
    ),
    "reversal_open": (
        "Giving the money back takes unusually long. Check the network of the terminal; terminald goes on by itself. "
        "Tell the customer that a charge, if there was one, is being returned."
    ),
}

#: Why no sale is begun (``status.reasons``), and what to do.
READINESS_ADVICE: Mapping[str, str] = {
    "not_activated": "Activate the terminal once: stop terminald, then run: terminald activate.",
    **_LOST_KEYS,
    "terminal_refused": (
        "The gateway does not serve this terminal. Look whether it is enabled in the merchant's console, or ask the "
        "gateway's operator; then activate anew if they say so."
    ),
    "clock_unset": (
        "The time of day is not known, or this machine's clock is wrong. The gateway tells it with its first answer, a "
        "time server too: check that one of them is reached (timedatectl), or set the clock."
    ),
    "gateway_unreachable": "Check the terminal's network, name resolution and gateway.url; the log says what failed.",
    "scanner_absent": "Plug the scanner in, and check the configured device path; terminald status says what it finds.",
    "printer_absent": "Switch the printer on, plug it in, and check the device; terminald status says what it finds.",
    "paper_out": "Put new paper into the printer; terminald notices by itself.",
    "cover_open": "Close the printer's cover; terminald notices by itself.",
    "printer_faulty": (
        "The printer is off-line: by its button, by a stuck cutter or another error, or it does not answer any more. "
        "terminald status says what it reports; clear it, or switch the printer off and on."
    ),
    "output_absent": (
        "The GPIO line to the machine could not be taken (kiosk.gpio). terminald status says why; gpioinfo lists the "
        "lines and who uses them."
    ),
    "inhibited": (
        "The machine says that it can not serve, by the line kiosk.gpio.inhibit. See to the machine; terminald notices "
        "by itself when it can."
    ),
    "journal_failed": (
        "The journal can not be written, or is damaged; the log says which. Check the disk and its mount: terminald "
        "goes on by itself when it can write again. A damaged one: terminald restore."
    ),
    "journal_restored": (
        "The journal was restored from a copy and may not know the last sales. Compare the days since with the "
        "gateway's (terminald report --verify, the merchant's console); then sell again: terminald resume."
    ),
    "disk_full": "Free space on the disk that holds the state directory.",
    "draining": (
        "No sale is begun on purpose: terminald was drained for an update or a technician, or is being stopped. When "
        "the work is done: terminald resume."
    ),
}

#: Every code that an answer of the API can have.
PROBLEMS: Mapping[str, ProblemKind] = {
    "invalid_json": _kind(400, "The body is not JSON", "Send one JSON object, in UTF-8."),
    "invalid_http": _kind(400, "The request is not HTTP", "Send HTTP/1.1."),
    "invalid_request": _kind(422, "The request is wrong", "Correct the named field; GET /v1/openapi.json says how."),
    "not_a_payment_code": _kind(422, "Not a payment code", "Let the customer open the payment code and scan it again."),
    "unauthorized": _kind(
        401, "The token is missing or wrong", "Send Authorization: Bearer with the token that is in api.token_file now."
    ),
    "host_not_allowed": _kind(
        403, "Not by this name", "Call the address of api.listen itself, or localhost, with the port: no other name."
    ),
    "origin_not_allowed": _kind(
        403, "Not for pages of this origin", "Name the page's origin in api.allowed_origins, then reload terminald."
    ),
    "forbidden": _kind(
        403, "Not for this caller", "Run it as root, or as a member of the group that api.admin_group names."
    ),
    "not_found": _kind(404, "No such sale", "Use the sale's id, your reference, the sn or a client_sn."),
    "no_such_call": _kind(404, "No such call", "GET /v1/openapi.json lists the calls."),
    "method_not_allowed": _kind(405, "Method not allowed", "Use one of the methods in the Allow header."),
    "body_timeout": _kind(408, "The body did not arrive in time", "Send the whole request at once."),
    "reference_conflict": _kind(
        409, "The reference names another sale", "Use a new reference for a new sale, or repeat the very same request."
    ),
    "busy": _kind(409, "Another sale is open", "Wait for the open sale to end, or cancel it."),
    "illegal_transition": _kind(
        409, "Not possible in this state", "Its state has moved on: terminald show SALE, or GET it."
    ),
    "not_paid": _kind(409, "The sale is not paid", "Only what was paid can go back: terminald show SALE, or GET it."),
    "nothing_left": _kind(
        409, "Nothing is left of the payment", "terminald show SALE, or GET it: its refunds say where the money is."
    ),
    "refund_too_much": _kind(422, "More than what is left", "Ask for less; without an amount it is all that is left."),
    "refund_conflict": _kind(
        409, "The reference names another refund", "Use a new reference, or repeat the very same request."
    ),
    "reference_spent": _kind(
        409,
        "The reference was used long ago",
        "Use a new reference. If this repeats an old request: its sale is over, and was deleted (state.keep_days).",
    ),
    "revoke_impossible": _kind(
        409, "The payment can not be revoked any more", "Refund it: terminald refund, or POST …/refunds."
    ),
    "no_attention": _kind(
        409, "Nothing waits for a person", "Nothing has to be done: it was closed, or has ended by itself."
    ),
    "attention_changed": _kind(
        409, "Another call is shown by now", "Get the sale, and look at the call that it shows now before you close it."
    ),
    "restored_unconfirmed": _kind(
        409,
        "The journal was restored, and nobody has compared it",
        "Compare the days since the copy with the gateway's (terminald report --verify, the merchant's console); then "
        'say so: terminald resume, or POST /v1/resume with {"code": "journal_restored"}.',
    ),
    "method_not_offered": _kind(
        409, "This sale takes no payment codes", 'Show its QR, or open sales with "scan" among their methods.'
    ),
    "code_reused": _kind(
        409, "The payment code was used already", "Let the customer open a fresh payment code and scan that."
    ),
    "earlier_order_open": _kind(
        409,
        "An earlier order of this sale is being undone",
        "Present the code again when no attempt of the sale is reversing: two charges must not stand side by side.",
    ),
    "nothing_to_print": _kind(409, "There is no receipt", "Receipts exist for paid sales only."),
    "printer_off": _kind(409, "No printer is configured", "Set [printer] in the configuration."),
    "events_unknown": _kind(
        410, "The log does not reach that far", "Read GET /v1/sales, then follow the events without a position."
    ),
    "body_too_large": _kind(413, "The body is too large", "Send at most 64 KiB."),
    "unsupported_media_type": _kind(415, "The body is not declared as JSON", "Send Content-Type: application/json."),
    "internal_error": _kind(500, "terminald has a fault", "Look at the log of terminald, and report what it says."),
    "not_ready": _kind(503, "Not ready to take payments", "terminald status says what to do about each reason."),
    "journal_failed": _kind(503, "The journal can not be written", READINESS_ADVICE["journal_failed"]),
    "overloaded": _kind(
        503, "Too much at once", "Wait for what was asked before; use fewer connections, and close idle ones."
    ),
    "unhealthy": _kind(
        503, "terminald does not serve", "See its log; an updater that has just installed this version goes back."
    ),
    "stopping": _kind(503, "terminald is being stopped", "Ask again when it runs; what was asked may have been done."),
}

_FALLBACK = "terminald status and the log say more."


def advice(code: str) -> str:
    """Return what to do about a code of attention or a reason of readiness; never empty."""
    return ATTENTION_ADVICE.get(code) or READINESS_ADVICE.get(code) or _FALLBACK


def problem_json(error: ApiError) -> tuple[int, bytes]:
    """Return the HTTP status and the body of a refusal. A code in no table is our fault: 500, without detail."""
    code, detail = error.code, error.detail[:MAX_DETAIL]
    if code not in PROBLEMS:
        code, detail = "internal_error", "The log of terminald says more."
    kind = PROBLEMS[code]
    problem = shapes.Problem(
        type=f"urn:terminald:{code}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        advice=" ".join(advice(one) for one in (error.matter and (error.matter,)) or error.reasons) or kind.advice,
        code=code,
        field=msgspec.UNSET if error.field is None else error.field[:MAX_DETAIL],
        reasons=error.reasons or msgspec.UNSET,
    )
    return kind.status, msgspec.json.encode(problem)
