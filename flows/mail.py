"""A Prefect block that sends e-mail through any SMTP server.

Of Prefect's own blocks only Sendgrid's sends e-mail, through its service. The package prefect-email
has no notification block and builds on the same module of the standard library as this one.
"""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Annotated, Literal

from prefect.blocks.abstract import NotificationBlock
from pydantic import Field, SecretStr

ANSWER_SECONDS = 10.0  # for each answer of the server

Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]


class Email(NotificationBlock):
    """Sends notifications as e-mail through an SMTP server."""

    _block_type_name = "E-mail"
    _block_type_slug = "email"
    _description = "Sends notifications as e-mail through an SMTP server."

    host: str = Field(min_length=1, description="Name or address of the SMTP server")
    port: int = Field(587, ge=1, le=65535, description="Usually 587, 465 for tls, 25 for none")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="How the connection is encrypted: after it was made, from its "
        "first byte, or not at all",
    )
    username: str = Field("", description="Empty for a server that asks for no login")
    password: SecretStr = Field(SecretStr(""), description="Of that user")
    sender: Address = Field(description="Address the e-mail comes from")
    recipients: list[Address] = Field(min_length=1, description="Addresses it goes to")

    async def notify(self, body: str, subject: str | None = None) -> None:
        """Send one e-mail to all recipients.

        It waits for the server without giving way, as nothing else runs where notifications are
        sent.

        Args:
            body: Plain text.
            subject: One line.

        Raises:
            OSError: If the server cannot be reached or does not answer.
            smtplib.SMTPException: If it refuses the login, the sender or a recipient; the other
                recipients have the e-mail then.
        """
        message = EmailMessage()
        message["Subject"], message["From"] = subject or "", self.sender
        message["To"] = ", ".join(self.recipients)
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="nightforge")
        message.set_content(body)
        with self._connect() as server:
            if self.username:
                server.login(self.username, self.password.get_secret_value())
            refused = server.send_message(message)
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)

    def _connect(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=ANSWER_SECONDS, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=ANSWER_SECONDS)
        if self.security == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server
