"""Reads messages as read.js does, with the package email of Python."""
import base64
import email
import email.policy
import json
import struct
import sys


def leaves(raw):
    for part in email.message_from_bytes(raw, policy=email.policy.compat32).walk():
        if part.is_multipart():
            continue
        content = part.get_payload(decode=True) or b""
        yield {
            "type": part.get_content_type(),
            "name": str(part.get_filename() or ""),
            "text": base64.b64encode(content).decode(),
        }


def main():
    source, target = sys.stdin.buffer, sys.stdout
    while head := source.read(4):
        raw = source.read(struct.unpack(">I", head)[0])
        try:
            answer = list(leaves(raw))
        except Exception as err:  # a reader that gives up shows nothing
            answer = [{"type": "error", "name": "", "text": base64.b64encode(repr(err).encode()).decode()}]
        target.write(json.dumps(answer) + "\n")
        target.flush()


main()
