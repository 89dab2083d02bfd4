"""A stdio MCP server for Slack: list_channels and send_message.

It acts as the user whose own token lies in $CREDENTIALS_DIRECTORY/slack-token,
read anew for each call, since the gate renews it in place. Without that
variable it acts as the bot of SLACK_BOT_TOKEN; never as the bot in a user's
place. A token is never an argument, an answer or a log line. SLACK_API_URL
names another base address, for tests. stdout belongs to the protocol alone.
"""

import os
import sys
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

# Slack recommends pages of at most 200 for cursor pagination.
PAGE = 200
# The Web API cuts a text that is longer than this.
MAX_TEXT = 40_000


# The file of the user's own token, in the folder that the gate names.
FILE = "slack-token"


def own_token(folder: str) -> str:
    """The user's own token as it is now."""
    try:
        with open(os.path.join(folder, FILE), encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        raise ToolError("your own Slack token is not here: connect Slack on your account page") from None


def call(slack: WebClient, name: str, **arguments: Any) -> dict[str, Any]:
    """One call of the Web API; what Slack or the network refuses is a tool error."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if folder:
        slack.token = own_token(folder)
    method = getattr(slack, name)
    try:
        return method(**arguments).data
    except SlackApiError as refused:
        # Only Slack's own error word: the response object also holds headers.
        raise ToolError(f"Slack refused: {refused.response.get('error', 'no reason given')}") from None
    except OSError as unreachable:
        raise ToolError(f"Slack cannot be reached: {type(unreachable).__name__}") from None


def new_server(slack: WebClient) -> MCPServer:
    server = MCPServer("slack")

    @server.tool()
    def list_channels(
        limit: Annotated[int, Field(ge=1, le=1000)] = 1000, cursor: str = ""
    ) -> dict[str, Any]:
        """List public channels. Where next_cursor is not empty there are more: pass it as cursor."""
        channels: list[dict[str, str]] = []
        while len(channels) < limit:
            page = call(
                slack,
                "conversations_list",
                types="public_channel",
                exclude_archived=True,
                limit=min(PAGE, limit - len(channels)),
                cursor=cursor or None,
            )
            channels += [{"id": c["id"], "name": c["name"]} for c in page["channels"]]
            cursor = (page.get("response_metadata") or {}).get("next_cursor", "")
            if not cursor:
                break
        return {"channels": channels, "next_cursor": cursor}

    @server.tool()
    def send_message(
        channel: Annotated[str, Field(min_length=1, max_length=80)],
        message: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)],
    ) -> dict[str, Any]:
        """Send a message to a channel, named by its id."""
        sent = call(slack, "chat_postMessage", channel=channel, text=message)
        return {"ok": True, "ts": sent["ts"]}

    return server


def main() -> int:
    token = os.environ.get("SLACK_BOT_TOKEN", "")
    if not token and not os.environ.get("CREDENTIALS_DIRECTORY"):
        print("SLACK_BOT_TOKEN is not set: put the bot's token (xoxb-...) in the environment, "
              "or let the gate give each user's own (docs/credentials.md)", file=sys.stderr)
        return 2
    slack = WebClient(
        token=token or None,
        base_url=os.environ.get("SLACK_API_URL", WebClient.BASE_URL),
        timeout=10,
        retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=2)],
    )
    new_server(slack).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
