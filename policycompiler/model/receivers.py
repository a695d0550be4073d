"""Receivers of notifications in a policy file, in the words of Alertmanager; every secret is a file."""

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from policycompiler.model.part import Part, shown_as
from policycompiler.model.units import Folder, HostAndPort, Text, WebAddress, refuse

Mailbox = Annotated[Text, StringConstraints(pattern=r"^[^\s@]+@[^\s@]+$")]


class PagerDuty(Part):
    """A service of PagerDuty."""

    routing_key_file: Folder = Field(description="file with the integration key (Events API v2)")


class Slack(Part):
    """A channel of Slack."""

    api_url_file: Folder = Field(description="file with the URL of the incoming webhook")
    channel: Annotated[Text, StringConstraints(min_length=1)] = Field(description="channel, such as #shop")


class Webhook(Part):
    """Any other service, which gets Alertmanager's JSON."""

    url: WebAddress | None = Field(None, description="URL, if it is not a secret")
    credentials_file: Folder | None = Field(None, description="file with the token that `url` needs, if any")
    url_file: Folder | None = Field(None, description="file with the URL; needs Alertmanager 0.26")

    @model_validator(mode="after")
    def _has_one_address(self) -> "Webhook":
        if (self.url is None) == (self.url_file is None):
            raise refuse("write either `url` or `url_file`")
        if self.url_file is not None and self.credentials_file is not None:
            raise refuse("`credentials_file` is for `url`")
        return self


class Mail(Part):
    """A mailbox."""

    to: Mailbox = Field(description="recipient")
    sender: Mailbox = Field(description="address of the sender")
    smarthost: HostAndPort = Field(description="host and port of the mail server")
    auth_username: Text | None = Field(None, description="user at the mail server")
    auth_password_file: Folder | None = Field(None, description="file with the password of this user")


class Receiver(Part):
    """Where notifications go: at least one of these."""

    model_config = shown_as({"pagerduty": {"routing_key_file": "/etc/alertmanager/storefront.key"}})

    pagerduty: PagerDuty | None = Field(None, description="a service of PagerDuty")
    slack: Slack | None = Field(None, description="a channel of Slack")
    webhook: Webhook | None = Field(None, description="a service with a webhook")
    mail: Mail | None = Field(None, description="a mailbox")

    @model_validator(mode="after")
    def _goes_somewhere(self) -> "Receiver":
        if not self.model_fields_set:
            raise refuse("write at least one of pagerduty, slack, webhook and mail")
        return self
