"""What goes wrong on the way to the coordinator. Refusals are values (`protocol.messages.Refusal`), not these."""


class LinkError(Exception):
    """No answer of the coordinator was had. The text is safe to show and holds no secret."""


class Unreachable(LinkError):
    """The network's fault: nobody answered at any address, or the connection was cut. Trying again may help."""


class BadReply(LinkError):
    """Somebody answered, but not in the protocol: malformed, truncated inside, too long, or of the wrong type."""


class WrongIdentity(LinkError):
    """Whoever answered could not prove to be the pinned coordinator. Nothing but greetings was sent to it."""
