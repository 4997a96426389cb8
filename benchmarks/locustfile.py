"""Players and readers for Locust: how a running server does under many users at once.

Start a server, then Locust against it, with its web page or without:

    fablewright serve
    locust -f benchmarks/locustfile.py --host http://127.0.0.1:8000
    locust -f benchmarks/locustfile.py --host http://127.0.0.1:8000 --headless -u 50 -r 10 -t 60s

All users are of one account with one world, made when the test starts, since the server hashes passwords slowly
by design and limits how many strangers may register from one address. Each user makes two characters of its own
and then mostly lets them act, reads them, and follows the log page by page. Every command carries an
Idempotency-Key; every hundredth or so is sent twice, and must be answered as a replay.

A server with default settings allows 60,000 requests per minute and actor; for more, start it with
`FABLEWRIGHT_RATE_LIMIT_PER_MINUTE=0`. The token lives for 15 minutes; for longer runs, with
`FABLEWRIGHT_ACCESS_TOKEN_SECONDS=86400`.
"""

import random
import uuid
from typing import Any

import httpx
from locust import HttpUser, between, events

API = "/api/v1"
TYPES = ("greeting", "chat", "collaboration", "conflict")


class Stage:
    """What all users share: the account's token and the world."""

    headers: dict[str, str] = {}
    world = ""


def set_the_stage(environment: Any, **_: Any) -> None:
    """Register, log in, and make a world whose time runs fast, so that nobody gets too tired to act."""
    with httpx.Client(base_url=environment.host or environment.parsed_options.host, timeout=30) as client:
        login = {"login": f"locust-{uuid.uuid4().hex[:12]}", "password": uuid.uuid4().hex}
        client.post(f"{API}/auth/register", json=login | {"display_name": "Locust"}).raise_for_status()
        tokens = client.post(f"{API}/auth/login", json=login).raise_for_status().json()
        Stage.headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        world = {"name": "Under load", "rate": 10_000.0, "seed": 1}
        made = client.post(f"{API}/worlds", json=world, headers=Stage.headers).raise_for_status().json()
        Stage.world = f"{API}/worlds/{made['result']['id']}"


class Player(HttpUser):  # type: ignore[misc]
    """Plays two characters of its own in the shared world."""

    wait_time = between(0.0, 0.05)

    def on_start(self) -> None:
        """Bring two characters into the world."""
        self.client.headers.update(Stage.headers)
        self.seen = 0
        self.characters = [self.create(f"Player {uuid.uuid4().hex[:8]}") for _ in range(2)]

    def give(self, path: str, name: str, body: dict[str, Any]) -> Any:
        """Give a command under a key; now and then twice, which must do it once."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = self.client.post(Stage.world + path, json=body, headers=headers, name=name)
        if random.random() < 0.01 and answer.ok:
            with self.client.post(
                Stage.world + path, json=body, headers=headers, name=f"{name} (again)", catch_response=True
            ) as again:
                if again.ok and again.headers.get("Idempotency-Replayed") != "true":
                    again.failure("a command was run twice")
        return answer.json()

    def create(self, name: str) -> str:
        """A new character; its id."""
        made = self.give("/characters", "POST characters", {"name": name})
        return str(made["result"]["id"])

    def interact(self) -> None:
        """One of the own characters does something to the other."""
        one, other = random.sample(self.characters, 2)
        body = {"initiator_id": one, "target_id": other, "type": random.choice(TYPES), "content": "Well met."}
        self.give("/interactions", "POST interactions", body)

    def read_character(self) -> None:
        """Look at a character."""
        self.client.get(
            f"{Stage.world}/characters/{random.choice(self.characters)}", name="GET characters/{id}"
        )

    def read_events(self) -> None:
        """The next page of the log; each event once and in order."""
        with self.client.get(
            f"{Stage.world}/events", params={"after": self.seen, "limit": 50}, name="GET events", catch_response=True
        ) as answer:  # fmt: skip
            if not answer.ok:
                return
            page = answer.json()
            places = [event["seq"] for event in page["events"]]
            if places != list(range(self.seen + 1, self.seen + len(places) + 1)):
                answer.failure("the log has a gap")
            self.seen = page["up_to"]

    def list_characters(self) -> None:
        """A page of characters by name."""
        self.client.get(f"{Stage.world}/characters", params={"limit": 20}, name="GET characters")

    def world(self) -> None:
        """The world and its time."""
        self.client.get(Stage.world, name="GET world")

    tasks = {interact: 10, read_character: 10, read_events: 3, list_characters: 1, world: 1}
    """What a user does, and how often in proportion."""


events.test_start.add_listener(set_the_stage)
