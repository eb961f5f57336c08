"""Credentials by the form their issuer gives them."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import string
import zlib
from collections import Counter
from collections.abc import Callable

from sealwright.kit.patterns.interface import HIGH, MEDIUM, SURE, Pattern

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BEFORE, _AFTER = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"


def entropy(text: str) -> float:
    """Shannon's, in bits for each character."""
    if not text:
        return 0.0
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values())


def random_looking(text: str) -> bool | None:
    """Whether its tail is not a placeholder: enough different characters, no run of one."""
    tail = re.split(r"[_\-.]", text)[-1] if len(text) < 60 else text[-40:]
    body = tail if len(tail) >= 12 else text
    dull = re.search(
        r"(.)\1{5}|x{4}|\*{3}|0123456|abcdef(?:gh|01)|(?i:example|your|dummy|sample)", body
    )
    return entropy(body) >= 2.5 and dull is None


def crc32_tail(text: str) -> bool | None:
    """The last six characters are the CRC-32 of the rest in base 62 (GitHub, npm).

    None where they are not, but the token still looks random: older tokens have no checksum.
    """
    body, tail = text.rpartition("_")[2][:-6], text[-6:]
    number = zlib.crc32(body.encode())
    check = ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        check = _BASE62[rest] + check
    return True if check == tail else (None if random_looking(text) else False)


def jwt(text: str) -> bool:
    """RFC 7515 and 7519: a JSON header with an ``alg``, then a JSON payload or a long signature.

    Of five parts it is encrypted (RFC 7516): then its header has an ``enc`` as well.
    """
    parts = text.split(".")
    try:
        head = _json(parts[0])
        if not isinstance(head, dict) or "alg" not in head:
            return False
        if len(parts) == 5:
            return "enc" in head
        return len(parts) == 3 and (len(parts[2]) >= 40 or isinstance(_json(parts[1]), dict))
    except (ValueError, binascii.Error, RecursionError):
        return False


def yaml_secret(text: str) -> bool:
    """A value of a Kubernetes Secret that is base64 of something, and no variable."""
    for value in re.findall(_YAML_VALUE, text):
        try:
            base64.b64decode(value, validate=True)
        except (ValueError, binascii.Error):
            continue
        return True
    return False


def snowflake(text: str) -> bool:
    """Discord: the first part is base64 of the decimal id of a user."""
    head = text.partition(".")[0]
    try:
        said = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except (ValueError, binascii.Error):
        return False
    return said.isdigit() and 16 <= len(said) <= 20


def basic(text: str) -> bool:
    """RFC 7617: base64 of ``user:password``."""
    try:
        return b":" in base64.b64decode(text + "=" * (-len(text) % 4), validate=True)[1:]
    except (ValueError, binascii.Error):
        return False


def pem(text: str) -> bool | None:
    """RFC 7468: base64 between the lines that opens a DER or OpenSSH structure."""
    inner = re.sub(r"-----[^-]+-----|\\[nr]|[\s\"'+,\\]", "", text)
    inner = re.sub(r"(?:Proc-Type|DEK-Info|Version|Comment):[^\n]*", "", inner)
    if len(inner) < 24:
        return None
    try:
        raw = base64.b64decode(inner[: len(inner) // 4 * 4], validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw[:1] == b"\x30" or raw.startswith(b"openssh-key-v1") or None


def userinfo(text: str) -> bool:
    """The password in ``scheme://user:password@host`` is no placeholder or variable."""
    return not _PLACEHOLDER.search(text) and not re.fullmatch(r"\W+|x+|\*+", text, re.I)


_YAML_VALUE = (
    r":[ \t]*(?:[|>]-?[ \t]*\r?\n[ \t]+)?[\"']?([A-Za-z0-9+/]{4,}={0,2})[\"']?"
    r"[ \t]*(?:#[^\n]*)?(?:\r?\n|$)"
)
_PLACEHOLDER = re.compile(
    r"(?i)^(?:password|passwd|pass|pwd|secret|token|changeme|user|username|null|none|true|false)$"
    r"|^[<{$%\[]|\$\{|\{\{|<[a-z_ -]+>|x{5}|\*{3}|\.{3}|your[_-]|example|placeholder|redacted|dummy"
    r"|insert|todo|fixme|my[_-]?(?:api|secret|token|password)"
)


def _json(part: str) -> object:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def token(
    name: str,
    body: str,
    *anchors: str,
    confidence: int = HIGH + 10,
    validator: Callable[[str], bool | None] = random_looking,
    strict: bool = True,
) -> Pattern:
    """A token that begins with one of ``anchors``; ``body`` is what follows."""
    heads = "|".join(re.escape(each) for each in anchors)
    return Pattern(
        name, "credential", "credential", regex=f"{_BEFORE}(?:{heads}){body}{_AFTER}",
        anchors=anchors, long=True, validator=validator, confidence=confidence, strict=strict,
    )  # fmt: skip


_p = token


def _c(name: str, regex: str, *anchors: str, confidence: int = HIGH) -> Pattern:
    """A token that only a word before it names; the group ``v`` is the token."""
    return Pattern(
        name, "credential", "credential", regex=f"(?i:{regex})", anchors=anchors, fold=True,
        validator=random_looking, confidence=confidence,
    )  # fmt: skip


_SAID = r"[\w .\-]{0,25}[\"'\]]{0,2}[ \t]{0,3}(?:=>|:=|=|:|\|\||,)[ \t]{0,3}[\"'`]?"
_HEX = "[0-9a-f]"

PATTERNS = (
    _p("github-token", r"[0-9A-Za-z]{36,251}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
       confidence=SURE, validator=crc32_tail, strict=False),
    _p("github-pat", r"\w{82}", "github_pat_", confidence=SURE),
    _p("gitlab-token", r"[\w-]{20,64}(?:\.\w{2}\.\w{9})?", "glpat-", "gldt-", "glptt-", "glrt-",
       "glcbt-", "glsoat-", "glagent-", "glimt-", "glft-", "glffct-", "gloas-"),
    _p("gitlab-runner", r"[\w-]{20,}", "GR1348941"),
    _p("bitbucket-token", r"[\w=-]{20,200}", "ATBB", "ATCTT3xFfG"),
    _p("atlassian-token", r"[A-Za-z0-9_\-=]{170,250}", "ATATT3"),
    _p("aws-key-id", r"[A-Z2-7]{16}", "AKIA", "ASIA", "ABIA", "ACCA", "AGPA", "AIDA", "AROA",
       "A3T"),
    _c("aws-secret", rf"(?:aws|secret){_SAID}(?P<v>[A-Za-z0-9/+]{{40}})(?![A-Za-z0-9/+=])", "aws",
       "secret"),
    _p("aws-bedrock", r"[A-Za-z0-9+/=]{40,300}", "ABSK",
       "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t"),
    _p("gcp-api-key", r"[\w-]{35}", "AIza"),
    _p("gcp-oauth-secret", r"[\w-]{28}", "GOCSPX-"),
    _p("gcp-access-token", r"[\w-]{30,250}", "ya29."),
    Pattern("gcp-service-account", "credential", "credential",
            regex=r"\"private_key_id\"\s*:\s*\"[0-9a-f]{40}\"",
            anchors=('"private_key_id"',), confidence=SURE),
    Pattern("azure-storage-key", "credential", "credential",
            regex=r"(?i:accountkey|sharedaccesskey|account_key)[\"']?(?:[\s=:,{(]|\\?[\"']){1,30}"
            r"(?P<v>[A-Za-z0-9+/]{42,86}={1,2})",
            anchors=("accountkey", "sharedaccesskey", "account_key"), fold=True, confidence=SURE,
            validator=random_looking),
    Pattern("azure-client-secret", "credential", "credential",
            regex=r"(?<![\w~.-])[\w.~-]{3}[0-9]Q~[\w.~-]{31,34}(?![\w~-])",
            anchors=("Q~",), reach=4, long=True,
            confidence=SURE),
    Pattern("azure-sas", "credential", "credential",
            regex=r"[?&]sig=(?P<v>[A-Za-z0-9%+/]{40,}(?:%3D|=))", anchors=("&sig=", "?sig="),
            confidence=HIGH),
    _p("slack-token", r"[0-9A-Za-z-]{10,250}", "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxo-",
       "xoxe-", "xoxe.xoxp-", "xoxe.xoxb-", "xapp-"),
    Pattern("slack-webhook", "credential", "credential",
            regex=r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{40,60}",
            anchors=("hooks.slack.com/",), confidence=SURE),
    Pattern("teams-webhook", "credential", "credential",
            regex=r"\.webhook\.office\.com/webhookb2/[a-z0-9@/-]{80,200}",
            anchors=(".webhook.office.com/",), confidence=SURE),
    Pattern("discord-webhook", "credential", "credential",
            regex=r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[\w-]{60,72}",
            anchors=("discord.com/api/", "discordapp.com/api/"), confidence=SURE),
    Pattern("discord-token", "credential", "credential",
            regex=r"(?<![\w.-])[MNO][A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,38}(?![\w.-])",
            long=True, validator=snowflake, confidence=SURE),
    _p("stripe-key", r"[0-9A-Za-z]{10,99}", "sk_live_", "rk_live_", "sk_test_", "rk_test_",
       "sk_prod_",
       "rk_prod_", confidence=SURE),
    _p("stripe-webhook", r"[0-9A-Za-z+/=]{24,}", "whsec_"),
    _p("twilio-key", rf"{_HEX}{{32}}", "SK"),
    _c("twilio-token", rf"twilio{_SAID}(?P<v>{_HEX}{{32}})", "twilio"),
    _p("sendgrid-key", r"[\w-]{16,32}\.[\w-]{32,64}", "SG.", confidence=SURE),
    _p("mailgun-key", rf"{_HEX}{{32}}", "key-", "pubkey-"),
    Pattern("mailchimp-key", "credential", "credential",
            regex=rf"(?<![0-9A-Za-z]){_HEX}{{32}}-us[0-9]{{1,2}}(?![0-9A-Za-z])",
            anchors=("-us",), reach=32, long=True,
            confidence=HIGH),
    _p("brevo-key", rf"{_HEX}{{64}}-[0-9A-Za-z]{{16}}", "xkeysib-"),
    _p("npm-token", r"[0-9A-Za-z]{36}", "npm_", confidence=SURE, validator=crc32_tail,
       strict=False),
    _p("pypi-token", r"[\w-]{50,1000}", "pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZw",
       confidence=SURE),
    _p("rubygems-key", rf"{_HEX}{{48}}", "rubygems_"),
    _p("clojars-token", rf"{_HEX}{{60}}", "CLOJARS_"),
    _p("huggingface-token", r"[A-Za-z0-9]{34,40}", "hf_", "api_org_"),
    _p("openai-key", r"(?:[\w-]{20,74}T3BlbkFJ[\w-]{20,74}|[A-Za-z0-9]{48})", "sk-", "sk-proj-",
       "sk-svcacct-",
       "sk-admin-", confidence=SURE),
    _p("openai-key-long", r"[\w-]{40,200}", "sk-proj-", "sk-svcacct-", "sk-admin-", "sk-or-v1-",
       "sk-lf-"),
    _p("anthropic-key", r"[\w-]{80,120}", "sk-ant-api03-", "sk-ant-admin01-", "sk-ant-oat01-",
       confidence=SURE),
    _p("groq-key", r"[A-Za-z0-9]{52}", "gsk_"),
    _p("replicate-key", r"[A-Za-z0-9]{37}", "r8_"),
    _p("perplexity-key", r"[A-Za-z0-9]{48}", "pplx-"),
    _p("xai-key", r"[A-Za-z0-9]{70,90}", "xai-"),
    _p("cohere-langchain-key", r"[0-9a-f]{32}_[0-9a-f]{10}", "lsv2_pt_", "lsv2_sk_"),
    _p("wandb-key", rf"{_HEX}{{40}}", "wandb_v1_", "local-"),
    _p("databricks-token", rf"{_HEX}{{32}}(?:-[0-9])?", "dapi", "dkea", "dose"),
    _p("digitalocean-token", rf"{_HEX}{{64}}", "dop_v1_", "doo_v1_", "dor_v1_"),
    _p("docker-token", r"[\w-]{27,36}", "dckr_pat_", "dckr_oat_"),
    _p("doppler-token", r"[0-9A-Za-z]{40,44}", "dp.pt.", "dp.st.", "dp.ct.", "dp.sa."),
    _p("dropbox-token", r"[\w=-]{130,152}", "sl."),
    _p("dynatrace-token", r"[A-Z0-9]{24}\.[A-Z0-9]{64}", "dt0c01."),
    _p("easypost-key", r"[0-9A-Za-z]{54}", "EZAK", "EZTK"),
    _p("facebook-token", r"[0-9A-Za-z]{20,250}", "EAACEdEose0cBA", "EAAG", "EAAM", "EAAB"),
    _p("figma-token", r"[\w-]{40}", "figd_", "figo_"),
    _p("flutterwave-key", r"[0-9a-h]{12,32}(?:-X)?", "FLWSECK-", "FLWSECK_TEST-", "FLWPUBK_TEST-"),
    _p("fly-token", r"[\w/+=,-]{40,}", "fo1_", "fm1_", "fm1a_", "fm2_"),
    _p("frameio-token", r"[\w-]{64}", "fio-u-"),
    _p("grafana-token", r"[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}", "glsa_"),
    _p("grafana-cloud-token", r"[A-Za-z0-9+/]{32,400}={0,3}", "glc_", "eyJrIjoi"),
    _p("vault-token", r"[\w-]{24,300}", "hvs.", "hvb.", "hvr."),
    Pattern("terraform-token", "credential", "credential",
            regex=r"(?<![\w.])[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}",
            anchors=(".atlasv1.",), reach=14, long=True,
            confidence=SURE),
    _p("heroku-key", r"[\w-]{36,70}", "HRKU-"),
    _p("infracost-key", r"[A-Za-z0-9]{32}", "ico-"),
    _p("linear-key", r"[A-Za-z0-9]{40}", "lin_api_", "lin_oauth_"),
    _p("mapbox-secret", r"[\w]{60,}\.[\w-]{20,}", "sk."),
    _p("newrelic-key", r"[A-Za-z0-9-]{27,42}", "NRAK-", "NRJS-", "NRII-", "NRAA-"),
    _p("notion-token", r"[A-Za-z0-9]{43,46}", "secret_", "ntn_"),
    _p("onepassword-token", r"[\w=/+-]{250,}", "ops_eyJ"),
    _p("onepassword-key",
       r"-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})"
       r"-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}", "A3"),
    _p("openshift-token", r"[\w-]{43}", "sha256~"),
    _p("planetscale-token", r"[\w=.-]{32,64}", "pscale_tkn_", "pscale_oauth_", "pscale_pw_"),
    _p("postman-key", rf"{_HEX}{{24}}-{_HEX}{{34}}", "PMAK-"),
    _p("prefect-key", r"[A-Za-z0-9]{36}", "pnu_"),
    _p("pulumi-token", rf"{_HEX}{{40}}", "pul-"),
    _p("readme-key", r"[a-z0-9]{70}", "rdme_"),
    _p("scalingo-token", r"[\w-]{48}", "tk-us-"),
    _p("sentry-token", r"[\w=+/]{50,}", "sntrys_", "sntryu_"),
    _p("settlemint-token", r"[A-Za-z0-9]{16}", "sm_aat_", "sm_pat_", "sm_sat_"),
    _p("shippo-token", rf"{_HEX}{{40}}", "shippo_live_", "shippo_test_"),
    _p("shopify-token", r"[A-Fa-f0-9]{32}", "shpat_", "shpss_", "shpca_", "shppa_"),
    _p("sourcegraph-token", r"(?:[A-Fa-f0-9]{16}_|local_)?[A-Fa-f0-9]{40}", "sgp_"),
    _p("square-token", r"[\w-]{22,60}", "sq0atp-", "sq0csp-", "sq0idp-", "EAAA"),
    _p("supabase-token", rf"{_HEX}{{40}}", "sbp_"),
    Pattern("telegram-token", "credential", "credential",
            regex=r"(?<![\w:])(?:bot)?[0-9]{5,16}:A[\w-]{34}(?![\w-])", anchors=(":A",), reach=19,
            confidence=HIGH),
    _p("typeform-token", r"[\w.=-]{40,59}", "tfp_"),
    _p("yandex-token", r"[\w-]{35,38}", "AQVN"),
    _p("airtable-token", rf"[A-Za-z0-9]{{14}}\.{_HEX}{{64}}", "pat"),
    _p("alibaba-key-id", r"[A-Za-z0-9]{16,20}", "LTAI"),
    _p("adobe-secret", r"[A-Za-z0-9]{32}", "p8e-"),
    _p("artifactory-token", r"[A-Za-z0-9]{20,73}", "AKCp", "cmVmdGtu"),
    _c("artifactory-password",
       rf"(?:artifactory|jfrog)[\w .\-]{{0,25}}{_SAID}(?P<v>(?:AP[0-9A-F]|AKC)[A-Za-z0-9]{{8,}})",
       "artifactory", "jfrog"),
    Pattern("kubernetes-secret", "credential", "credential",
            regex=r"kind:[ \t]*[\"']?Secret[\"']?[ \t]*(?:\r?\n(?!---)[^\n]{0,300}){0,40}?\n"
            r"(?:data|stringData):[^\n]{0,80}(?P<v>(?:\r?\n(?:[ \t]+[^\n]{1,4000}|[ \t]*))+)",
            anchors=("kind: Secret", 'kind: "Secret', "kind:Secret"), validator=yaml_secret,
            confidence=HIGH),
    Pattern("kubernetes-secret-above", "credential", "credential",
            regex=r"\ndata:[ \t]*(?P<v>(?:\r?\n(?:[ \t]+[^\n]{1,4000}|[ \t]*))+)"
            r"(?:\n(?!---)[^\n]{0,300}){0,40}?\nkind:[ \t]*[\"']?Secret\b",
            anchors=("\ndata:",), validator=yaml_secret, confidence=HIGH),
    Pattern("docker-auth", "password", "credential",
            regex=r"\"auth\\{0,6}\"\s{0,3}:\s{0,3}\\{0,6}\"(?P<v>[A-Za-z0-9+/]{8,400}={0,2})\\{0,6}\"",
            anchors=('"auth',), validator=basic, confidence=HIGH),
    Pattern("authorization-header", "credential", "credential",
            regex=r"(?i:authorization[\"']?\s{0,2}[:=,]\s{0,3}[\"']?(?!basic|bearer)"
            r"(?:[a-z-]{2,20}[ =]{1,2})?[\"']?)(?P<v>[A-Za-z0-9_\-.~+/=]{20,300})",
            anchors=("authorization",), fold=True, confidence=MEDIUM + 10,
            validator=lambda text: random_looking(text) and any(map(str.isdigit, text))),
    Pattern("flag-secret", "secret", "credential",
            regex=r"--(?:password|passphrase|token|secret|api-key|auth-token|client-secret)[ ]+"
            r"[\"']?(?P<v>[^\s\"'<>{}$\-][^\s\"'<>{}$]{7,200})",
            anchors=("--pass", "--token ", "--secret ", "--api-key ", "--auth-token ",
                     "--client-secret "),
            validator=lambda text: random_looking(text) and any(map(str.isdigit, text)),
            confidence=MEDIUM + 10),
    _p("duffel-token", r"[\w=-]{43}", "duffel_test_", "duffel_live_"),
    _p("plaid-token", rf"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}", "access-sandbox-",
       "access-development-",
       "access-production-"),
    _p("age-key", r"[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}", "AGE-SECRET-KEY-1", confidence=SURE),
    _p("tailscale-key", r"[A-Za-z0-9]{8,20}-[A-Za-z0-9]{20,40}", "tskey-auth-", "tskey-api-",
       "tskey-client-"),
    _p("cloudflare-origin", r"[a-f0-9]{24}-[a-f0-9]{146}", "v1.0-"),
    _c("okta-token", rf"okta{_SAID}(?P<v>00[\w-]{{40}})", "okta"),
    Pattern("jwt", "credential", "credential",
            regex=r"(?<![\w-])eyJ[\w-]{10,}(?:\.[\w-]{16,}\.[\w-]*|\.[\w-]*(?:\.[\w-]+){3})(?![\w-])",
            anchors=("eyJ",),
            validator=jwt, confidence=HIGH + 10),
    Pattern("private-key", "private-key", "credential",
            regex=r"-----BEGIN[ A-Z0-9_-]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"[\s\S]{24,8192}?-----END[ A-Z0-9_]{0,40}"
            r"PRIVATE KEY(?: BLOCK)?-----|-----BEGIN[ A-Z0-9_-]{0,40}PRIVATE KEY(?: BLOCK)?-----",
            anchors=("-----BEGIN",), validator=pem, confidence=HIGH + 10, strict=False),
    Pattern("putty-key", "private-key", "credential",
            regex=r"PuTTY-User-Key-File-[23]: ",
            anchors=("PuTTY-User-Key-File-",), confidence=HIGH),
    Pattern("uri-password", "password", "credential",
            regex=r"://[^\s:/@?#\"'<>]{0,64}:(?P<v>[^\s@/\"'<>]{3,200})@[A-Za-z0-9\[{$_.-]",
            anchors=("://",),
            validator=userinfo, confidence=HIGH),
    Pattern("basic-auth", "password", "credential",
            regex=r"(?i:basic)[ ]+(?P<v>[A-Za-z0-9+/]{8,200}={0,2})(?![A-Za-z0-9+/=])",
            anchors=("basic ",),
            fold=True, validator=basic, confidence=HIGH),
    Pattern("bearer", "credential", "credential",
            regex=r"(?i:bearer)[ ]+(?P<v>[A-Za-z0-9_\-.~+/]{20,}=*)",
            anchors=("bearer ",), fold=True,
            validator=lambda text: random_looking(text) and any(map(str.isdigit, text)),
            confidence=MEDIUM + 10),
    Pattern("curl-user", "password", "credential",
            regex=r"curl (?:[^\n|;]|\\\r?\n){0,400}?[ ](?:-u|--user)[ =]?[\"']?[^\s:\"'$]{0,64}:"
            r"(?P<v>[^\s\"'$][^\s\"']{2,100})",
            anchors=("curl ",), validator=userinfo, confidence=HIGH),
)  # fmt: skip
