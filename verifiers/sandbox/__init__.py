"""Untrusted programs, run behind walls: `Sandbox` runs them, `Limits` bound them, `Run` says what became of them."""

from tracemill.verifiers.sandbox.conversation import Closed, Conversation
from tracemill.verifiers.sandbox.sandbox import Sandbox
from tracemill.verifiers.sandbox.types import Ending, Limits, Run

__all__ = ["Closed", "Conversation", "Ending", "Limits", "Run", "Sandbox"]
