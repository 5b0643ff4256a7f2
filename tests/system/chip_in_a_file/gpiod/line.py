from enum import Enum

Direction = Enum("Direction", ["AS_IS", "INPUT", "OUTPUT"])
Edge = Enum("Edge", ["NONE", "RISING", "FALLING", "BOTH"])
Bias = Enum("Bias", ["AS_IS", "UNKNOWN", "DISABLED", "PULL_UP", "PULL_DOWN"])


class Value(Enum):
    INACTIVE = 0
    ACTIVE = 1
