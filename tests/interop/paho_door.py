#!/usr/bin/env python3
"""Checks what a Paylatch broker offers with paho-mqtt, a client that nobody here wrote.

    paho_door.py --host 127.0.0.1 --port 1883 \\
        --terminal NAME:PASSWORD:SITE/TERMINAL \\
        --platform NAME:PASSWORD:PLATFORM

Prints a line per check and exits with the number of failed checks (at most 99).
"""

import argparse
import json
import queue
import socket
import sys
import time

import paho.mqtt.client as mqtt

DEADLINE_S = 10


class Party:
    """One client on paho's own network thread, with queues in place of callbacks."""

    def __init__(self, door, user, password, client_id, **options):
        self.door = door
        self.connects = queue.Queue()
        self.messages = queue.Queue()
        self.subscribes = queue.Queue()
        self.published = queue.Queue()
        self.ends = queue.Queue()
        self.keep_alive_s = options.pop("keep_alive_s", 60)
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=options.pop("protocol", mqtt.MQTTv311),
            reconnect_on_failure=False,
            **options,
        )
        self.client.username_pw_set(user, password)
        self.client.on_connect = lambda _c, _d, flags, reason, _p: self.connects.put((reason, flags.session_present))
        self.client.on_message = lambda _c, _d, message: self.messages.put(message)
        self.client.on_subscribe = lambda _c, _d, mid, codes, _p: self.subscribes.put((mid, [code.value for code in codes]))
        self.client.on_publish = lambda _c, _d, mid, _r, _p: self.published.put(mid)
        self.client.on_disconnect = lambda _c, _d, _f, reason, _p: self.ends.put(reason)

    def dial(self):
        self.client.connect(self.door.host, self.door.port, keepalive=self.keep_alive_s)

    def try_connect(self):
        """The answer of the broker: a reason code, and whether a session was present."""
        self.dial()
        self.client.loop_start()
        return self.connects.get(timeout=DEADLINE_S)

    def connect(self):
        reason, session_present = self.try_connect()
        expect(not reason.is_failure, f"connected, not {reason}")
        return session_present

    def subscribe(self, topic, qos):
        """The return code of the SUBACK."""
        self.client.subscribe(topic, qos)
        return self.subscribes.get(timeout=DEADLINE_S)[1][0]

    def publish(self, topic, payload, qos, **options):
        self.client.publish(topic, payload, qos, **options)
        self.published.get(timeout=DEADLINE_S)

    def message(self):
        return self.messages.get(timeout=DEADLINE_S)

    def end(self):
        return self.ends.get(timeout=DEADLINE_S)

    def vanish(self):
        """Closes the socket without a DISCONNECT, as a power cut would."""
        self.client.socket().shutdown(socket.SHUT_RDWR)
        self.end()
        self.client.loop_stop()

    def leave(self):
        self.client.disconnect()
        self.client.loop_stop()


class Door:
    """The broker under test and the two users that the checks are done with."""

    def __init__(self, arguments):
        self.host = arguments.host
        self.port = arguments.port
        self.terminal = arguments.terminal.split(":", 2)
        self.platform = arguments.platform.split(":", 2)
        self.up = f"paylatch/v1/{self.terminal[2]}/up"
        self.down = f"paylatch/v1/{self.terminal[2]}/down"

    def as_terminal(self, client_id="paho-terminal", **options):
        return Party(self, *self.terminal[:2], client_id, **options)

    def as_platform(self, client_id="paho-platform", **options):
        return Party(self, *self.platform[:2], client_id, **options)


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(f"expected: {what}")


def fence(door, platform, terminal):
    """Whatever was on its way to the platform has arrived, and is nothing."""
    terminal.publish(f"{door.up}/health", "fence", 1)
    message = platform.message()
    expect(message.payload == b"fence", f"nothing, not {message.topic} {message.payload[:40]}")


def quality(door, qos):
    platform, terminal = door.as_platform(), door.as_terminal()
    platform.connect()
    terminal.connect()
    expect(terminal.subscribe(f"{door.down}/+", qos) == qos, "the filter granted as asked")
    expect(platform.subscribe(f"{door.up}/payment", qos) == qos, "the filter granted as asked")
    for number in range(200):
        platform.publish(f"{door.down}/payment", f"down {number}", qos)
        terminal.publish(f"{door.up}/payment", f"up {number}", qos)
    for number in range(200):
        for party, word in ((terminal, "down"), (platform, "up")):
            message = party.message()
            expect(message.payload.decode() == f"{word} {number}", f"{word} {number} in its order")
            expect(message.qos == qos and not message.dup and not message.retain, "the same quality, no flag")
    platform.leave()
    terminal.leave()


def check_quality_0(door):
    quality(door, 0)


def check_quality_1(door):
    quality(door, 1)


def check_redelivery(door):
    terminal = door.as_terminal()
    terminal.connect()
    first = door.as_platform(clean_session=False, manual_ack=True)
    expect(not first.connect(), "no session at first")
    first.subscribe(f"{door.up}/payment", 1)
    for number in range(3):
        terminal.publish(f"{door.up}/payment", f"{number}", 1)
    held = [first.message() for _ in range(3)]
    expect(not any(message.dup for message in held), "no DUP at first")
    first.client.ack(held[0].mid, held[0].qos)
    # The next answer shows that the broker has read the acknowledgement before it.
    first.subscribe(f"{door.up}/payment", 1)
    first.vanish()
    terminal.publish(f"{door.up}/payment", "3", 1)

    second = door.as_platform(clean_session=False)
    expect(second.connect(), "the session to be present")
    again = [second.message() for _ in range(3)]
    expect([message.payload for message in again] == [b"1", b"2", b"3"], "what was not acknowledged, and what came since")
    expect([message.dup for message in again] == [True, True, False], "DUP on the first two")
    second.leave()
    clean = door.as_platform()
    expect(not clean.connect(), "no session for a clean one")
    clean.leave()
    terminal.leave()


def check_keepalive(door):
    lively = door.as_terminal("paho-lively", keep_alive_s=1)
    lively.connect()
    silent = door.as_terminal("paho-silent", keep_alive_s=2)
    silent.dial()
    begun = time.monotonic()
    # Reads, and never lets paho send its PINGREQ.
    while silent.ends.empty():
        expect(time.monotonic() - begun < DEADLINE_S, "a silent client to be closed")
        silent.client.loop_read()
        time.sleep(0.01)
    lasted = time.monotonic() - begun
    expect(2.5 < lasted < 6, f"the end after 3 s, not {lasted:.1f} s")
    expect(lively.client.is_connected() and lively.ends.empty(), "a client that pings to stay")
    lively.leave()


def check_last_will(door):
    platform = door.as_platform()
    platform.connect()
    platform.subscribe(f"{door.up}/+", 1)
    drain(platform)
    for how, expected in (("vanish", True), ("leave", False)):
        terminal = door.as_terminal()
        terminal.client.will_set(f"{door.up}/health", "gone", 1)
        terminal.connect()
        getattr(terminal, how)()
        seen = [message for message in until_offline(platform) if message.payload == b"gone"]
        expect(len(seen) == int(expected), f"{int(expected)} will after {how}, not {len(seen)}")
    platform.leave()


def until_offline(platform):
    """Everything up to the presence that says offline, which comes behind a will."""
    messages = []
    while True:
        message = platform.message()
        messages.append(message)
        if message.topic.endswith("/presence") and not json.loads(message.payload)["body"]["online"]:
            return messages


def drain(party):
    """Takes what a subscription is greeted with."""
    while True:
        try:
            party.messages.get(timeout=0.3)
        except queue.Empty:
            return


def check_presence(door):
    terminal = door.as_terminal()
    terminal.connect()
    platform = door.as_platform()
    platform.connect()
    platform.subscribe("paylatch/v1/+/+/up/presence", 1)
    greeting = platform.message()
    expect(greeting.topic == f"{door.up}/presence", "the presence of the terminal")
    expect(json.loads(greeting.payload)["body"] == {"online": True}, "online")
    drain(platform)
    terminal.leave()
    expect(not json.loads(platform.message().payload)["body"]["online"], "offline")
    platform.leave()


def check_takeover(door):
    first, second = door.as_terminal(), door.as_terminal()
    first.connect()
    first.subscribe(f"{door.down}/+", 1)
    second.connect()
    first.end()
    second.subscribe(f"{door.down}/+", 1)
    platform = door.as_platform()
    platform.connect()
    platform.publish(f"{door.down}/ack", "once", 1)
    expect(second.message().payload == b"once", "the message at the second")
    expect(first.messages.empty(), "nothing at the first")
    second.leave()
    platform.leave()


def check_subscribe_failure(door):
    terminal = door.as_terminal()
    terminal.connect()
    for topic in ("#", "$SYS/#", f"{door.up}/+", "paylatch/v1/other/one/down/+", f"$share/group/{door.down}/+"):
        code = terminal.subscribe(topic, 1)
        expect(code == 0x80, f"0x80 for {topic}, not {code:#x}")
    expect(terminal.subscribe(f"{door.down}/+", 2) == 1, "quality 1 where 2 was asked for")
    terminal.leave()


def check_forbidden_publish(door):
    platform, terminal = door.as_platform(), door.as_terminal()
    terminal.connect()
    terminal.subscribe(f"{door.down}/+", 1)
    platform.connect()
    platform.subscribe("paylatch/v1/+/+/up/+", 1)
    drain(platform)
    for topic in (f"{door.down}/linkage", "paylatch/v1/other/one/up/payment", "支付/1", "$SYS/broker"):
        terminal.publish(topic, "forged", 1)
    terminal.publish(f"{door.up}/payment", "x" * (8 * 1024 + 1), 1)
    fence(door, platform, terminal)
    expect(terminal.messages.empty(), "nothing at the terminal")
    platform.leave()
    terminal.leave()


def check_retain_ignored(door):
    platform, witness = door.as_platform(), door.as_terminal()
    platform.connect()
    witness.connect()
    witness.subscribe(f"{door.down}/+", 1)
    platform.publish(f"{door.down}/linkage", "open", 1, retain=True)
    # Acknowledged is not yet routed: only once somebody has it, it is one of before.
    message = witness.message()
    expect(message.payload == b"open" and not message.retain, "the message without its flag")
    witness.leave()
    terminal = door.as_terminal()
    terminal.connect()
    terminal.subscribe(f"{door.down}/+", 1)
    platform.publish(f"{door.down}/linkage", "fresh", 1)
    message = terminal.message()
    expect(message.payload == b"fresh", f"nothing of before, not {message.topic} {message.payload[:40]}")
    platform.leave()
    terminal.leave()


def check_refusals(door):
    user, password, _ = door.terminal
    attempts = (
        ("a wrong password", Party(door, user, password + "x", "paho"), "Bad user name or password"),
        ("an unknown user", Party(door, "nobody", password, "paho"), "Bad user name or password"),
        ("a bad client id", Party(door, user, password, "bad/id"), "Client identifier not valid"),
        ("MQTT 3.1", Party(door, user, password, "paho", protocol=mqtt.MQTTv31), "Unsupported protocol version"),
    )
    for what, party, expected in attempts:
        try:
            reason = str(party.try_connect()[0])
        except queue.Empty:
            reason = "no answer"
        expect(reason == expected, f"'{expected}' for {what}, not '{reason}'")
        party.client.loop_stop()


def check_version_5(door):
    newer = door.as_terminal(protocol=mqtt.MQTTv5)
    newer.dial()
    newer.client.loop_start()
    newer.end()
    newer.client.loop_stop()
    expect(newer.connects.empty() or newer.connects.get()[0].is_failure, "no connection of MQTT 5")


def check_quality_2(door):
    terminal = door.as_terminal()
    terminal.connect()
    terminal.client.publish(f"{door.up}/payment", "twice", 2)
    terminal.end()
    terminal.client.loop_stop()


CHECKS = (
    ("quality of service 0, in order, both directions", check_quality_0),
    ("quality of service 1, in order, both directions", check_quality_1),
    ("redelivery of what was not acknowledged", check_redelivery),
    ("keepalive of a silent client and of one that pings", check_keepalive),
    ("last will after a vanishing, none after DISCONNECT", check_last_will),
    ("presence, replayed and live", check_presence),
    ("takeover by the same client id", check_takeover),
    ("subscribe failure 0x80", check_subscribe_failure),
    ("forbidden publishes are acknowledged and dropped", check_forbidden_publish),
    ("retain is ignored", check_retain_ignored),
    ("refusals with their return code", check_refusals),
    ("MQTT 5 is refused", check_version_5),
    ("quality of service 2 is refused", check_quality_2),
)


def main():
    parser = argparse.ArgumentParser(description="Checks a Paylatch broker with paho-mqtt.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--terminal", required=True, metavar="NAME:PASSWORD:SITE/TERMINAL")
    parser.add_argument("--platform", required=True, metavar="NAME:PASSWORD:PLATFORM")
    door = Door(parser.parse_args())
    failed = 0
    for name, check in CHECKS:
        try:
            check(door)
            print(f"ok      {name}", flush=True)
        except (Failed, queue.Empty, OSError, ValueError) as error:
            failed += 1
            reason = str(error) or f"nothing came within {DEADLINE_S} s"
            print(f"FAILED  {name}: {reason}", flush=True)
    print(f"{len(CHECKS) - failed} of {len(CHECKS)} passed")
    return min(failed, 99)


if __name__ == "__main__":
    sys.exit(main())
