"""Tokens that begin as their issuer says they do, one line for each issuer.

Source: the issuers' own documentation of their tokens, and for Azure Microsoft's description of
its identifiable keys, whose middle spells the service.
"""

from __future__ import annotations

from sealwright.kit.patterns.credentials import random_looking
from sealwright.kit.patterns.credentials import token as _p
from sealwright.kit.patterns.interface import HIGH, SURE, Pattern

_HEX = "[0-9a-f]"
_UUID = rf"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"
_B64 = "[A-Za-z0-9+/]"

PATTERNS = (
    Pattern("azure-identifiable-key", "credential", "credential",
            regex=rf"(?<![A-Za-z0-9+/])(?:{_B64}{{76}}(?:APIM|ACDb|\+ABa|\+AMC|\+ASt){_B64}{{5}}[AQgw]=="
            rf"|{_B64}{{33}}(?:AIoT|\+ASb|\+AEh|\+ARm){_B64}{{5}}=|[A-Za-z0-9]{{42}}AzSe[A-D][A-Za-z0-9]{{5}}"
            rf"|[\w-]{{44}}AzFu[\w-]{{5}}[AQgw]==|{_B64}{{42}}\+ACR[A-D]{_B64}{{5}}"
            r"|[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4})(?![A-Za-z0-9+/=])",
            anchors=("APIM", "ACDb", "+ABa", "+AMC", "+ASt", "AIoT", "+ASb", "+AEh", "+ARm", "AzSe",
                     "AzFu", "+ACR", "AZDO"), reach=80, long=True, confidence=SURE),
    _p("aiven-password", r"[\w-]{19}", "AVNS_"),
    _p("asana-token", rf"[0-9]{{12,20}}/[0-9]{{12,20}}:{_HEX}{{32}}", "1/", "2/"),
    _p("buildkite-token", r"[0-9a-z]{40}", "bkua_", "bkct_", "bkpt_"),
    _p("cerebras-key", r"[a-z0-9]{48}", "csk-"),
    _p("circleci-token", r"[A-Za-z0-9]{22}_[0-9a-f]{40}", "CCIPAT_", "CCIPRJ_"),
    _p("clickup-token", r"[0-9]{7,9}_[0-9A-Z]{32}", "pk_"),
    _p("cockroach-key", r"[A-Za-z0-9]{22}_[A-Za-z0-9]{40}", "CCDB1_"),
    _p("contentful-token", r"[\w-]{43}", "CFPAT-"),
    _p("crates-token", r"[A-Za-z0-9]{32}", "cio"),
    _p("dbt-token", r"[\w=-]{30,60}", "dbtc_", "dbts_", "dbtu_"),
    _p("deepseek-key", rf"{_HEX}{{32}}", "sk-"),
    _p("doppler-other", r"[0-9A-Za-z]{40,44}", "dp.scim.", "dp.audit."),
    _p("elastic-key", r"[\w=-]{40,120}", "essu_"),
    _p("elevenlabs-key", rf"{_HEX}{{48}}", "sk_"),
    _p("firecrawl-key", rf"{_HEX}{{32}}", "fc-"),
    _p("fireworks-key", r"[A-Za-z0-9]{22,24}", "fw_"),
    _p("gcp-hmac-id", r"[A-Z0-9]{57}", "GOOG1E"),
    _p("gcp-refresh-token", r"[\w-]{40,110}", "1//0"),
    _p("gocardless-token", r"[\w=-]{40}", "live_", "sandbox_"),
    _p("harness-token", r"[\w-]{22}\.[0-9a-f]{24}\.[A-Za-z0-9]{20}", "pat.", "sat."),
    _p("honeycomb-key", r"[a-z0-9]{58}", "hcaik_", "hcbik_", "hcxik_", "hcalk_"),
    _p("hubspot-token", rf"{_UUID}", "pat-na1-", "pat-na2-", "pat-eu1-", "pat-ap1-"),
    _p("ibm-key", r"[\w-]{36}", "ApiKey-"),
    _p("jina-key", r"[\w-]{60}", "jina_"),
    _p("klaviyo-key", rf"{_HEX}{{34}}", "pk_"),
    _p("kong-token", r"[A-Za-z0-9]{40,60}", "kpat_", "spat_"),
    _p("launchdarkly-key", _UUID, "sdk-", "api-", "mob-", "rel-"),
    _p("linkedin-secret", r"[A-Za-z0-9]{16}\.[A-Za-z0-9+/]{6}==", "WPL_AP0.", "WPL_AP1."),
    _p("lob-key", rf"{_HEX}{{35}}", "live_", "test_", "live_pub_", "test_pub_"),
    _p("logfire-token", r"[a-z]{2}_[A-Za-z0-9]{43}", "pylf_v1_"),
    _p("mongodb-atlas-secret", r"[\w-]{40}", "mdb_sa_sk_"),
    _p("neon-key", r"[a-z0-9]{64}", "napi_"),
    _p("netlify-token", r"[A-Za-z0-9_-]{36}", "nfp_", "nfc_", "nfo_", "nfb_", "nfu_"),
    _p("nuget-key", r"[a-z0-9]{43}", "oy2"),
    _p("nvidia-key", r"[\w-]{64}", "nvapi-"),
    _p("onesignal-key", r"[a-z0-9]{100,110}", "os_v2_app_", "os_v2_org_"),
    _p("open-vsx-token", _UUID, "ovsxp_", "ovsxat_"),
    _p("packagist-token", r"[a-z0-9]{60,80}", "packagist_uut_", "packagist_ort_", "packagist_out_"),
    _p("pinecone-key", r"[\w]{60,80}", "pcsk_"),
    _p("portainer-token", r"[A-Za-z0-9/_+-]{20,60}={0,2}", "ptr_"),
    _p("posthog-key", r"[A-Za-z0-9]{40,50}", "phx_", "phs_"),
    _p("pubnub-key", rf"{_UUID}", "sec-c-", "pub-c-"),
    _p("razorpay-key", r"[A-Za-z0-9]{14}", "rzp_live_", "rzp_test_"),
    _p("render-key", r"[A-Za-z0-9]{28}", "rnd_"),
    _p("resend-key", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{24}", "re_"),
    _p("retool-token", r"[a-z0-9]{26}", "retool_"),
    _p("shopify-other", r"[A-Fa-f0-9]{32}", "shptka_", "shpua_", "shpit_"),
    _p("smtp-brevo", rf"{_HEX}{{64}}-[0-9A-Za-z]{{16}}", "xsmtpsib-"),
    _p("snyk-token", r"[0-9a-f]{8}\.[\w-]{60,200}", "snyk_uat.", "snyk_sat."),
    _p("socket-token", r"[\w-]{40,60}", "sktsec_"),
    _p("sonar-token", rf"{_HEX}{{40}}", "squ_", "sqp_", "sqa_", "sqb_", "sqco_"),
    _p("spectral-token", rf"{_HEX}{{32}}", "spu-"),
    _p("stackhawk-key", r"[\w-]{20}\.[\w-]{20}", "hawk."),
    _p("supabase-secret", r"[\w-]{31}", "sb_secret_"),
    _p("swarm-token", r"[0-9a-z]{50}-[0-9a-z]{25}", "SWMTKN-1-"),
    _p("tavily-key", r"[\w-]{32,50}", "tvly-", "tvly-dev-"),
    _p("teamcity-token", r"[\w-]{20,80}\.[\w-]{40,80}", "eyJ0eXAiOiAiVENWMiJ9."),
    _p("tencent-key-id", r"[A-Za-z0-9]{32}", "AKID"),
    _p("together-key", r"[\w-]{43}", "tgp_v1_"),
    _p("twitter-bearer", r"[A-Za-z0-9%]{60,120}", "AAAAAAAAAAAAAAAAAAAA"),
    _p("vault-old-token", r"[A-Za-z0-9]{24}", "s.", "b."),
    _p("vercel-token", r"[\w-]{24,60}", "vercel_blob_rw_", "vck_", "vcp_"),
    _p("voyage-key", r"[\w-]{43}", "pa-"),
    _p("yandex-other", r"[\w=-]{40,200}", "y0_", "t1."),
    Pattern("octopus-or-appsync-key", "credential", "credential",
            regex=r"(?<![A-Za-z0-9_.])(?:API-[A-Z0-9]{25,32}|da2-[a-z0-9]{26})(?![A-Za-z0-9_-])",
            anchors=("API-", "da2-"), long=True, validator=random_looking, confidence=HIGH),
)  # fmt: skip
