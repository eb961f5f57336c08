"""``seal data read`` in a loop: a bulk pull by a script is contained within seconds."""

import re
import time

from sealwright.app import wiring


def test_a_scripted_bulk_pull_is_contained_and_the_next_read_refused(project):
    size = project.ok("data", "list")["datasets"][0]["size_bytes"]
    path = project.root / "seal.toml"
    limit = f'\n[watch]\nbytes_per_hour = "{5 * size}"\n'
    path.write_text(re.sub(r"\n\[watch\][^[]*", "", path.read_text()) + limit)
    start, taken, error = time.monotonic(), 0, {}
    for _ in range(40):
        code, body, _ = project.seal("data", "read", "train")
        if code:
            error = body["error"]
            break
        taken += 1
    assert time.monotonic() - start < 10
    assert taken == 5  # the read that would go too far is refused before a byte leaves
    assert (error["kind"], error["rule"]) == ("GateDenied", "access.over-budget")
    held = project.ok("contain", "list")["containments"]
    name = wiring.open_workspace().principal.name
    assert ("quarantine-principal", f"principal:{name}") in {
        (one["step"], one["target"]) for one in held
    }
    assert {one["rule"] for one in held} == {"watch.bytes-hour"}
    for one in held:
        project.ok("contain", "release", one["id"], "--reason", "the nightly copy")
    project.ok("data", "read", "train")
