"""What a country and its people are called, in English and by themselves, by two-letter code.

A number stands beside its country's name more often than beside its own.
"""

from __future__ import annotations

COUNTRIES = {
    "ae": ("emirates", "emirati", "uae"), "ar": ("argentina", "argentine", "argentinian"),
    "at": ("austria", "austrian", "österreich"), "au": ("australia", "australian"),
    "be": ("belgium", "belgian", "belgië", "belgique"), "bg": ("bulgaria", "bulgarian"),
    "br": ("brazil", "brazilian", "brasil"), "ca": ("canada", "canadian"),
    "ch": ("switzerland", "swiss", "schweiz", "suisse"), "cl": ("chile", "chilean"),
    "cn": ("china", "chinese", "prc"), "cu": ("cuba", "cuban"),
    "cz": ("czech", "czechia", "slovak", "slovakia"), "de": ("germany", "german", "deutschland"),
    "dk": ("denmark", "danish", "danmark"), "do": ("dominican",), "ec": ("ecuador", "ecuadorian"),
    "ee": ("estonia", "estonian", "lithuania", "lithuanian"), "eg": ("egypt", "egyptian"),
    "es": ("spain", "spanish", "españa"), "fi": ("finland", "finnish", "suomi"),
    "fr": ("france", "french"), "gr": ("greece", "greek"), "hk": ("hong kong",),
    "hr": ("croatia", "croatian", "hrvatska"), "hu": ("hungary", "hungarian", "magyar"),
    "id": ("indonesia", "indonesian"), "ie": ("ireland", "irish"), "il": ("israel", "israeli"),
    "in": ("india", "indian"), "ir": ("iran", "iranian"), "is": ("iceland", "icelandic"),
    "it": ("italy", "italian", "italia"), "jp": ("japan", "japanese"),
    "kr": ("korea", "korean"), "kw": ("kuwait", "kuwaiti"), "kz": ("kazakhstan", "kazakh"),
    "lk": ("sri lanka", "sri lankan"), "lu": ("luxembourg",), "lv": ("latvia", "latvian"),
    "md": ("moldova", "moldovan"), "mx": ("mexico", "mexican", "méxico"),
    "my": ("malaysia", "malaysian"), "ng": ("nigeria", "nigerian"),
    "nl": ("netherlands", "dutch", "nederland"), "no": ("norway", "norwegian", "norge"),
    "nz": ("new zealand",), "pe": ("peru", "peruvian", "perú"),
    "ph": ("philippines", "philippine", "filipino"), "pk": ("pakistan", "pakistani"),
    "pl": ("poland", "polish", "polska"), "pt": ("portugal", "portuguese"),
    "ro": ("romania", "romanian", "românia"), "ru": ("russia", "russian"),
    "sa": ("saudi",), "se": ("sweden", "swedish", "sverige"), "sg": ("singapore", "singaporean"),
    "th": ("thailand", "thai"), "tr": ("turkey", "turkish", "türkiye", "türk"),
    "tw": ("taiwan", "taiwanese"), "ua": ("ukraine", "ukrainian"),
    "uk": ("united kingdom", "british", "uk"), "us": ("american", "u.s"),
    "uy": ("uruguay", "uruguayan"), "ve": ("venezuela", "venezuelan"),
    "vn": ("vietnam", "vietnamese"),
    "yu": ("slovenia", "slovenian", "serbia", "serbian", "bosnia", "bosnian", "macedonia",
           "macedonian", "montenegro"),
    "za": ("south africa", "south african", "rsa"),
}  # fmt: skip
