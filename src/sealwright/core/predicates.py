"""The predicate types Sealwright writes. Each has a page in ``docs/spec/predicates.md``."""

SLSA_PROVENANCE = "https://slsa.dev/provenance/v1"

_OWN = "urn:sealwright:predicate:"

WORKSPACE = _OWN + "workspace/v1"
CONTINUATION = _OWN + "continuation/v1"
TRUST = _OWN + "trust/v1"
DATASET_VERSION = _OWN + "dataset-version/v1"
INTENT = _OWN + "intent/v1"
CLOSED = _OWN + "closed/v1"
MODEL_VERSION = _OWN + "model-version/v1"
ALIAS = _OWN + "alias/v1"
REVOCATION = _OWN + "revocation/v1"
POLICY_ACTIVATION = _OWN + "policy-activation/v1"
DECISION = _OWN + "decision/v1"
REQUEST = _OWN + "request/v1"
APPROVAL = _OWN + "approval/v1"
EXPORT = _OWN + "export/v1"
REPRODUCTION = _OWN + "reproduction/v1"
CONTAINMENT = _OWN + "containment/v1"
RELEASE = _OWN + "release/v1"
SHRED = _OWN + "shred/v1"
KEY = _OWN + "key/v1"
IDENTITY = _OWN + "identity/v1"
LOGIN = _OWN + "login/v1"
MEMBER = _OWN + "member/v1"
TEAM = _OWN + "team/v1"
GRANT = _OWN + "grant/v1"
GRANT_END = _OWN + "grant-end/v1"
READ = _OWN + "read/v1"
READ_SETTLED = _OWN + "read-settled/v1"
SECRET = _OWN + "secret/v1"
ACCESS = _OWN + "access/v1"
REVIEW = _OWN + "review/v1"
CONVERSION = _OWN + "conversion/v1"
MODEL_CLASS = _OWN + "model-class/v1"
DERIVATION = _OWN + "derivation/v1"
CLASSIFICATION = _OWN + "classification/v1"
ADVISORIES = _OWN + "advisories/v1"
AUDIT = _OWN + "vulnerability-audit/v1"
WAIVER_END = _OWN + "waiver-end/v1"
CONTRACT = _OWN + "contract/v1"
CONTRACT_CHECK = _OWN + "contract-check/v1"
SPLITS = _OWN + "splits/v1"
VERIFICATION = _OWN + "verification/v1"
BOM = _OWN + "bom/v1"
IMAGE = _OWN + "image-score/v1"
SUPPLY = _OWN + "supply-check/v1"
MODEL_SCAN = _OWN + "model-scan/v1"
TEAM = _OWN + "team/v1"
REBUILD = _OWN + "rebuild/v1"
SCREENING = _OWN + "screening/v1"
QUARANTINE = _OWN + "quarantine/v1"
DRIFT = _OWN + "drift/v1"
URL_PINS = _OWN + "url-pins/v1"
EXTRACTION_TEST = _OWN + "extraction-test/v1"
REPLAY = _OWN + "extraction-replay/v1"
GUARD_BATCH = _OWN + "guard-batch/v1"
GUARD_EVENT = _OWN + "guard-event/v1"
SERVING_KEY = _OWN + "serving-key/v1"
LEASE = _OWN + "lease/v1"
FINGERPRINT = _OWN + "fingerprint/v1"
COMPARISON = _OWN + "comparison/v1"
CANARY = _OWN + "canary/v1"

ALL = frozenset(
    {
        SLSA_PROVENANCE,
        WORKSPACE,
        CONTINUATION,
        TRUST,
        DATASET_VERSION,
        INTENT,
        CLOSED,
        MODEL_VERSION,
        ALIAS,
        REVOCATION,
        POLICY_ACTIVATION,
        DECISION,
        REQUEST,
        APPROVAL,
        EXPORT,
        REPRODUCTION,
        CONTAINMENT,
        RELEASE,
        SHRED,
        KEY,
        IDENTITY,
        LOGIN,
        MEMBER,
        TEAM,
        GRANT,
        GRANT_END,
        READ,
        READ_SETTLED,
        SECRET,
        ACCESS,
        REVIEW,
        CONVERSION,
        MODEL_CLASS,
        DERIVATION,
        CLASSIFICATION,
        ADVISORIES,
        AUDIT,
        WAIVER_END,
        CONTRACT,
        CONTRACT_CHECK,
        SPLITS,
        VERIFICATION,
        BOM,
        IMAGE,
        SUPPLY,
        MODEL_SCAN,
        TEAM,
        REBUILD,
        SCREENING,
        QUARANTINE,
        DRIFT,
        URL_PINS,
        EXTRACTION_TEST,
        REPLAY,
        GUARD_BATCH,
        GUARD_EVENT,
        SERVING_KEY,
        LEASE,
        FINGERPRINT,
        COMPARISON,
        CANARY,
    }
)
