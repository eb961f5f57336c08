"""The rows of facts/v1: one for each fact; ``docs/spec/facts-v1.md`` has the same."""

from __future__ import annotations

from typing import Literal

import msgspec

from sealwright.policy.factsheet import NEVER, Kind, Value


class Row(msgspec.Struct, frozen=True):
    """One fact: its Cedar type, where it comes from, what it says, what it is when unknown."""

    name: str
    kind: Kind
    source: Literal["ledger", "request", "ledger at register and later, request at train"]
    meaning: str
    unknown: Value


_BOTH: Literal["ledger at register and later, request at train"] = (
    "ledger at register and later, request at train"
)

ROWS: tuple[Row, ...] = (
    Row(
        "approvals",
        "Long",
        "ledger",
        "people who approved this request: distinct person, key"
        " and (uid, host), in a role that may, still valid, neither asking nor the one who trained",
        0,
    ),
    Row("approvals_ignored", "Long", "ledger", "approvals of this request that do not count", 0),
    Row("approvers", "Set<String>", "ledger", "names behind `approvals`", ()),
    Row(
        "artifact_frozen",
        "Bool",
        "ledger",
        "a subject, or something it was made from, is frozen by a containment",
        True,
    ),
    Row("code_dirty", "Bool", "ledger", "a run's code differed from its commit, or had none", True),
    Row(
        "contract_broken",
        "Long",
        "ledger",
        "rules of their data contracts that the inputs break, other than those of form",
        NEVER,
    ),
    Row(
        "contract_structural",
        "Long",
        "ledger",
        "rules of form that they break: a column missing, not listed or of another type",
        NEVER,
    ),
    Row(
        "contract_unchecked",
        "Long",
        "ledger",
        "inputs added since their dataset has a contract, and not held to the one in force",
        NEVER,
    ),
    Row(
        "drift_columns",
        "Long",
        "ledger",
        "columns of the dataset versions that runs read in which a comparison with an earlier"
        " version says they drifted; 0 where nobody compared",
        NEVER,
    ),
    Row(
        "drift_strength",
        "Long",
        "ledger",
        "the largest of these effects, in percent of the least that counts",
        NEVER,
    ),
    Row(
        "egress_granted",
        "Bool",
        _BOTH,
        "every run that had a network had only an allow list, which somebody granted and which"
        " was seen to deny what is not on it",
        False,
    ),
    Row(
        "evidence_looser",
        "Long",
        "ledger",
        "artifacts and runs whose evidence was made under a looser profile than this one",
        NEVER,
    ),
    Row(
        "extraction_held",
        "Long",
        "ledger",
        "subjects of which, by a replay of the last 30 days, callers were told enough for a copy"
        " above its declared target; 0 at `train`",
        NEVER,
    ),
    Row(
        "extraction_over",
        "Long",
        "ledger",
        "subjects whose newest extraction test bounds the best copy above its declared target",
        NEVER,
    ),
    Row(
        "extraction_untested",
        "Long",
        "ledger",
        "subjects that no extraction test of the last 180 days, at no smaller budget and"
        " behind no narrower a guard, speaks of;"
        " 0 at `train`",
        NEVER,
    ),
    Row("inputs", "Long", "ledger", "dataset versions the subjects are or were made from", 0),
    Row("inputs_external", "Long", "ledger", "of those, signed in place and not kept", NEVER),
    Row(
        "inputs_outdated",
        "Long",
        "ledger",
        "of those, which the newest data that was compared with them, and not withdrawn, has"
        " drifted from",
        NEVER,
    ),
    Row(
        "inputs_revoked",
        "Long",
        "ledger",
        "of those, revoked, or made from something revoked",
        NEVER,
    ),
    Row("inputs_signed", "Long", "ledger", "of those, with a signed dataset statement", 0),
    Row("inputs_unknown", "Long", "ledger", "of those, without one", NEVER),
    Row(
        "isolation_rung",
        "Long",
        _BOTH,
        "the weakest room of the runs: 0 none, 1 namespaces, seccomp and limits with a GPU bound,"
        " 2 the same without one, or cgroup limits with one, 3 cgroup limits and no GPU, or"
        " strict, 4 strict with cgroup limits; the measured rung where that is lower",
        0,
    ),
    Row("key_custody", "Long", "request", "0 unknown, 1 key file, 2 passphrase, 3 external KMS", 0),
    Row(
        "missing", "Set<String>", "ledger", "statements this gate needs and did not find", ("all",)
    ),
    Row("model_blocked", "Bool", "ledger", "a subject itself is revoked", True),
    Row(
        "model_files_refused",
        "Long",
        "ledger",
        "model files among what the runs read or, at `train`, one will, that are "
        "dangerous or not understood",
        NEVER,
    ),
    Row(
        "models_unsafe",
        "Long",
        "ledger",
        "subjects with a model file that is dangerous or not understood",
        NEVER,
    ),
    Row(
        "models_unscanned",
        "Long",
        "ledger",
        "subjects whose files nobody scanned; 0 at `train`",
        NEVER,
    ),
    Row("network_none", "Bool", _BOTH, "no run had a network beyond its own loopback", False),
    Row("plaintext_on_disk", "Bool", _BOTH, "a run's inputs were decrypted onto a disk", True),
    Row(
        "poison_groups_open",
        "Long",
        "ledger",
        "significant groups found in the dataset versions that runs read, which nobody released",
        NEVER,
    ),
    Row("policy_active", "Bool", "ledger", "this policy set is the one last activated", False),
    Row("principal_quarantined", "Bool", "ledger", "who asks is held by a containment", True),
    Row("profile", "Long", "request", "0 solo, 1 team, 2 regulated", 2),
    Row(
        "profile_matches", "Bool", "request", "seal.toml names the profile of the policy set", False
    ),
    Row(
        "readmit_approvals",
        "Long",
        "ledger",
        "fewest people who readmitted one of the artifacts behind `evidence_looser`",
        0,
    ),
    Row("reason_given", "Bool", "request", "the request says why", False),
    Row(
        "revoked_ancestors",
        "Long",
        "ledger",
        "revoked artifacts the subjects were made from",
        NEVER,
    ),
    Row(
        "room_missing",
        "Set<String>",
        "request",
        "primitives this machine lacks for the room",
        ("unknown",),
    ),
    Row(
        "run_status",
        "String",
        "ledger",
        "`ok`, `none` (no run yet), or how a run ended:"
        " `failed`, `interrupted`, `refused`, `timeout`, `killed`",
        "none",
    ),
    Row(
        "screening_failed",
        "Long",
        "ledger",
        "dataset versions that runs read whose screening failed, a detector of it, or reading its"
        " statement",
        NEVER,
    ),
    Row(
        "screening_reduced",
        "Long",
        "ledger",
        "of these, screened with fewer detectors or a smaller alpha than by default",
        NEVER,
    ),
    Row(
        "screening_unread",
        "Long",
        "ledger",
        "records of these versions that no detector could read",
        NEVER,
    ),
    Row(
        "secrets_in_code",
        "Long",
        "ledger",
        "credentials in the code of the runs or, at `train`, of the one to come, that "
        "nobody waived",
        NEVER,
    ),
    Row("serve_external", "Bool", "request", "at `serve`, others than our own can ask it", True),
    Row(
        "serve_upstream",
        "Long",
        "request",
        "at `serve`, whose weights answer: 0 ours, in our own worker, 1 another server's, which is"
        " said to have the registered model, 2 another server's, and nobody says which",
        2,
    ),
    Row("self_approved", "Bool", "ledger", "who asks approved it too, with a reason", False),
    Row(
        "sensitivity",
        "Long",
        "ledger",
        "the highest of the dataset versions the subjects are or were made from: 0 unlabelled or"
        " public, 1 internal, 2 sensitive, or not known",
        2,
    ),
    Row(
        "split_leaks",
        "Long",
        "ledger",
        "records of one side of a split found on another: equal, nearly equal, of one entity, or"
        " too late",
        NEVER,
    ),
    Row(
        "split_unchecked",
        "Long",
        "ledger",
        "inputs added since their dataset is a side of a split, and not compared with the others",
        NEVER,
    ),
    Row("subjects", "Long", "request", "artifacts the decision is about", 0),
    Row(
        "supply_unchecked",
        "Long",
        "ledger",
        "runs or, at `train`, the one to come, whose supply chain nobody checked",
        NEVER,
    ),
    Row(
        "traffic_drifted",
        "Long",
        "ledger",
        "subjects of which a guard said that what they are asked is not what it was calibrated on",
        NEVER,
    ),
    Row("unisolated", "Bool", _BOTH, "a run had no room around it, or none that is known", True),
    Row(
        "unscreened", "Long", "ledger", "dataset versions that runs read and nobody screened", NEVER
    ),
    Row(
        "validation_age_s",
        "Long",
        "ledger",
        "seconds since the oldest version was added that `validation_sets` counts; 0 for none",
        NEVER,
    ),
    Row(
        "validation_sets",
        "Long",
        "ledger",
        "validation and test versions that the inputs are split against",
        0,
    ),
    Row(
        "validation_unverified",
        "Long",
        "ledger",
        "of those, verified by nobody who neither added them nor trains",
        NEVER,
    ),
    Row(
        "vulnerabilities_unknown",
        "Long",
        "ledger",
        "packages of their environments of which no usable index says anything",
        NEVER,
    ),
    Row(
        "vulnerable",
        "Long",
        "ledger",
        "packages of their environments with an advisory that nobody waived",
        NEVER,
    ),
    Row(
        "witness",
        "Long",
        "request",
        "separation of the best witness that cosigned: 0 none, 1 same uid, 2 same host, 3 remote",
        0,
    ),
    Row("witness_age_s", "Long", "request", "seconds since that cosignature", NEVER),
    Row("witness_lag", "Long", "request", "entries it does not cover", NEVER),
)
