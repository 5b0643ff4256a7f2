"""What the log can say: each line has an id, which stays as it is for as long as lines of that kind are written.

The number is the journal's ``MESSAGE_ID``, made once at random. Under it ``systemd/terminald.catalog`` explains the
line, and ``journalctl MESSAGE_ID=…`` finds all of its kind. What varies is in the fields.
"""

import logging
from enum import Enum
from typing import Final

_CRITICAL: Final = logging.CRITICAL
_ERROR: Final = logging.ERROR
_WARNING: Final = logging.WARNING
_INFO: Final = logging.INFO
_DEBUG: Final = logging.DEBUG


class LogId(Enum):
    """Number, level and text of each kind of line."""

    def __init__(self, message_id: str, level: int, text: str) -> None:
        self.message_id = message_id
        self.level = level
        self.text = text

    @property
    def word(self) -> str:
        """The id in words, as it is shown."""
        return self.name.lower()

    # The service
    SERVING = ("37a3e24f155545dab4cfc0c65c97ac8d", _INFO, "serving")
    STOPPING = ("75da4ee5641948e4912584f0d2d819a0", _INFO, "stopping")
    STOP_UNFINISHED = (
        "07e5afbc3f2c43cb9e3aad08143c844f",
        _WARNING,
        "stopping with a payment or a receipt still open; it goes on at the next start",
    )
    CRASHED = (
        "5d4b38d5fa214bb4b67ca9a8eed7f2d4",
        _CRITICAL,
        "terminald ends on a fault of its own; what was open goes on at the next start",
    )
    CONFIG_RELOADED = ("3180c3c987e24b38a60e3747870abeda", _INFO, "the configuration was read again")
    CONFIG_REFUSED = ("8948d95857a543f7ba80a319cdc8d8e5", _ERROR, "the configuration is not taken over")
    RESTART_NEEDED = ("c2b8083751a4462cba73faaad01eee12", _WARNING, "without effect before a restart")
    RELOAD_IMPOSSIBLE = (
        "e2db2c06539a4da2a54554ed922df323",
        _WARNING,
        "there is no file from which the configuration could be read again",
    )
    SOCKET_ELSEWHERE = (
        "6997148abe9e41d28a6a6edd4dbce401",
        _WARNING,
        "systemd passes another socket than api.socket; write the same path in both",
    )
    MANAGER_UNREACHED = ("8f2dd9e9a88e48a5860783ca47214ac7", _WARNING, "the service manager could not be told")
    BOARD_NEW = (
        "18d9395cb3b142eeb7cb6c7fdee11ad5",
        _INFO,
        "the state directory is from another board and not activated: it begins anew on this one",
    )
    TCP_LISTENING = ("aa1b31828d10426dad348bfacd4300d2", _INFO, "calls over TCP are taken")
    ADDRESS_MISSING = ("f0924fcb721e48b1aa7af7aa20f23573", _INFO, "this machine has no such address")
    LINES_SUPPRESSED = ("c4aa5ed61f8849948de8de0288576252", _WARNING, "lines suppressed")
    LINES_LOST = ("646213ff09df4313837efcd68e971aee", _WARNING, "lines lost")

    # Money
    SALE_CHANGED = ("982ff390d0934000b165082d20c16ab1", _INFO, "sale")
    ATTEMPT_CHANGED = ("1ec3a09c5415483d80ca5699dab52c97", _INFO, "attempt")
    REFUND_CHANGED = ("68d8a9c597e04452a06b8b1354300142", _INFO, "refund")
    VEND_CHANGED = ("8f4b6aab3da747a3b17afbee066b7a32", _INFO, "vend")
    PRINT_CHANGED = ("2f63f4067c6640619f24910ffa41fa4f", _INFO, "print job")
    ATTENTION_RAISED = ("fcc1c746495544f6aa7ea8bc2929b06b", _WARNING, "a person is called")
    ATTENTION_CLOSED = ("5614be8ebbf24d4facc08b15348e490a", _INFO, "a call for a person is closed")
    JOURNAL_FAILED = (
        "1fff69445f434726bad06c39b2a980be",
        _CRITICAL,
        "the journal can not be written: no payment is taken until it can",
    )
    EVENT_NOT_RECORDED = ("cb1f0e23fa514678b184e055be41066c", _WARNING, "an event was not recorded")
    INPUT_DROPPED = ("7375ccc62319469bad81531eec0ee8b2", _WARNING, "an input was dropped: too many are waiting")

    SALES_HELD = (
        "9a99efdb5dd9450ab711303a7be990e4",
        _WARNING,
        "no more sales are begun: drained by a caller",
    )
    SALES_RESUMED = (
        "b83155a298fd4b8f9258b06ad928f3a3",
        _INFO,
        "sales are begun again",
    )
    ORDER_UNDONE = (
        "4911dcf28c0b49258c0ceb496e17f58e",
        _WARNING,
        "nothing can be recorded: an order is being undone from memory",
    )
    JOURNAL_DAMAGED = (
        "f967ab2134924976bd3117d657ae75b9",
        _CRITICAL,
        "the journal is damaged: nothing is sold with it",
    )
    JOURNAL_TOO_NEW = (
        "7525fd8179ef40608a7c33a414868bac",
        _CRITICAL,
        "the journal was written by a newer terminald: nothing is sold with it",
    )
    JOURNAL_REPLACED = (
        "7ef7c05e17904eea820d62ad6f5a6204",
        _WARNING,
        "the journal is another one: starting anew",
    )
    JOURNAL_COPIED = (
        "5a765fcd70b64d25b4a835afc15ba27f",
        _INFO,
        "the journal was copied",
    )
    JOURNAL_UNCHECKED = (
        "c6a7c19465d44931a846927cc4df6cb3",
        _WARNING,
        "the journal can not be looked through",
    )
    JOURNAL_NOT_COPIED = (
        "309d73f05c3146058897513e485579c4",
        _WARNING,
        "the journal is not copied",
    )
    SALES_NOT_DELETED = (
        "edcd382a6c25424ebec67e6a2302a25e",
        _WARNING,
        "old sales are not deleted now",
    )
    SALE_NOT_READ = (
        "b5c33293ba2d4db78bac6ad36bd8e371",
        _WARNING,
        "an old sale can not be read: it is kept as evidence",
    )
    DISK_SLOW = (
        "f61b8c41dff84b9eaad5e7d46f0a9f76",
        _WARNING,
        "the disk is slow: the card may be dying",
    )
    DISK_FAST = (
        "f352f1cd571740cc9f3e3d57705bd93f",
        _INFO,
        "the disk is as fast again as it should be",
    )
    DISK_UNPROVEN = (
        "870a961aed334c47a1faf1a4a0d4a933",
        _WARNING,
        "the disk does not take writes",
    )

    # Key and gateway
    KEY_CHANGED = ("7954dcfcda4943e68b17b82aa8494d5f", _INFO, "key")
    KEY_ATTENTION = ("a4ace23821704f46b66fc9fd103fa1a8", _WARNING, "the key needs a person")
    LINK_CHANGED = ("cd9e85f575aa48828b22e36cd20f49b6", _INFO, "gateway link")
    GATEWAY_REQUEST = ("774c97ac5854446ab69a114ba1886f33", _INFO, "gateway request")
    SIGNATURE_REFUSED = ("cad5e445c16a49eea21d2cb9efd2fe4d", _WARNING, "signature refused, trying the previous key")
    CLOCK_SET = ("a55b5d653eb84506be26027aa627323b", _WARNING, "the system's clock was set")
    CLOCK_AHEAD = (
        "d6be28d9b7dc4a318f81d649c4145e42",
        _WARNING,
        "the time of day on record is ahead of the gateway's, which is used from now on",
    )
    CLOCK_NOT_MARKED = ("29f6c5016c2d429e8c2100790764da57", _DEBUG, "the time of day was not put on record")

    # Calls and readiness
    READINESS_CHANGED = ("013a15687f7742baa11cbffacb801e18", _INFO, "readiness")
    CALL_FAILED = ("6085ac95c25547f6b7a461c3dfabbcb2", _ERROR, "a call failed; its caller was told internal_error")
    TCP_REFUSED = ("7951477e12fc41d58aa3788c94b89b46", _WARNING, "a call over TCP was refused")
    CALL_NOT_RECORDED = (
        "a9f89d5fdc9f465ca35898ec23da7c48",
        _WARNING,
        "a call was refused: the journal can not be written",
    )
    STREAM_ENDED = ("c5eb6a5d1c004c9bad41be45de10ca30", _DEBUG, "an event stream ended: the journal can not be read")

    # Devices
    DEVICE_READY = ("66a78ce1cc6b4a148fdb521b9aad9bde", _INFO, "a device is ready")
    DEVICE_FAILED = ("bf99fa6fba6744f49d9c500189d496c5", _WARNING, "a device is away or does not work")
    DEVICES_POLLED = (
        "9a0cb0b593ed4ce9a729be5817703016",
        _WARNING,
        "the kernel does not tell when devices come; looking for them by time",
    )
    CLOSING_SLOW = ("1e582e9dde2748968b96880c54a29753", _WARNING, "a device takes long to close; left to a thread")
    SCANNER_FOUND = ("c781ed6b1c324669b6b17446f136ae35", _INFO, "a keyboard scanner was found")
    TRIGGER_UNTAKEN = (
        "4f8d002aa6924a2daa1d500e6697f742",
        _WARNING,
        "a scanner's line takes no trigger command; check the cable and flow control",
    )
    SCAN_DROPPED = ("3b41cc4d9f3240c18caf37f6509d69af", _WARNING, "a scan was dropped")

    # Kiosk and vending
    KIOSK_CHANGED = ("8f981e1d564849bf82afc6e9f6e5287e", _DEBUG, "kiosk")
    BARCODE_UNKNOWN = ("d818c1d2877e4e78864df2e310a147c6", _INFO, "no product has the barcode")
    SALE_NOT_OPENED = ("6e808f99c9e84055aff12266f6a3c7b1", _INFO, "no sale was opened")
    SALE_NOT_CANCELED = ("8fefcb8d0c614d3ea6865c1ceaa4c126", _WARNING, "a sale was not canceled")
    SALE_OVERTAKEN = ("2f34869cc20444a9b580166bb7956ca9", _WARNING, "a sale has gone on without the kiosk")
    ACTION_STEP = ("56d5e9b4b2924104bdb0f221bc486edf", _INFO, "action")
    ACTION_FAILED = ("22eb59e7caa343a28824975c8c4235e0", _WARNING, "the action for a sale has failed")
    ACTION_UNKNOWN = (
        "4de75bfb211b452da1b580f45e365bfe",
        _WARNING,
        "it is not known what the action for a sale has done",
    )
    COMMAND_STUCK = ("9ec950c232d84042896f90e81965d913", _WARNING, "a command that was killed does not end")
    COMMAND_NOT_ENDED = ("d823b53a2fb84fe884b4f8d956651807", _WARNING, "a command can not be ended")
    PULSE_LATE = ("ea266a797c6d4fa0afbad3985ee759c9", _WARNING, "a pulse took longer than it should")
    VENDING_CHANGED = ("26f3c047d71b45a79670f80261eb8a93", _INFO, "vending")
    VEND_DENIED = ("637441d47d5d4437af066809b7508d84", _WARNING, "a vending machine's request is denied")
    VEND_APPROVED = ("1d0cc228412e46308a1af5990b8cb628", _INFO, "a vend is approved")
    VEND_NOT_APPROVED = ("17a00df4c84a4ff58cb052ab0321f4d0", _WARNING, "a vend is not approved")
    MACHINE_EVENT = ("118d3dd1b9304949947c3a16b719da1e", _INFO, "a vending machine reports")
    ADAPTER_SAYS = ("4bfb43dfeed24ff0a39937af0ae2be1a", _INFO, "a vending adapter says")

    # Upload of the event log
    LOG_PACKED = ("e278ffef6a8243fdacf9fcc31953d88c", _INFO, "log packed")
    LOG_TRUNCATED = ("ee528e15aa474dfc89783795cd31cc8a", _WARNING, "too much for one log: the oldest rows are left out")
    LOG_DISCARDED = ("cc8a2aab623a4eb18a4ca9dbd15bbd9c", _WARNING, "a log was dropped: too many wait")
    LOG_NOT_TAKEN = (
        "92dd4f99b80642129f7b1ef9454ae99c",
        _WARNING,
        "a log was not taken; it is kept, and sent again after the next check-in",
    )
    LOG_UPLOADED = ("570d861181f94fe7aba2374de6a804b2", _INFO, "a log was taken by the gateway")
    UPLOAD_FAILED = ("66a091eedebc4f7ead6146cdbf2bd468", _WARNING, "the upload of the event log failed here")

    # A fleet's broker
    BROKER_TOLD = ("1fdf24a0a7e64e6481e56cac51da0455", _INFO, "the broker is told of this terminal")
    BROKER_AWAY = ("f59acf75590b45b5b1f5e3a47dcad802", _WARNING, "the broker can not be told anything now")
    BROKER_NONE = ("9604c51812e64ffdbd3c2838dbce0830", _ERROR, "no broker is told anything")
    BROKER_FAULT = (
        "d5a93f7579564aa79c28fe0860256026",
        _ERROR,
        "a connection to the broker failed unforeseen, and is tried again",
    )
    BROKER_UNREAD = ("1d0df6da212d4bb9b91dd74fb19e7c25", _DEBUG, "the event log can not be read for the broker")
    BROKER_UNMARKED = ("ac8be6dfad8540f3947da7cbc38ee930", _DEBUG, "how far the broker is was not noted")
