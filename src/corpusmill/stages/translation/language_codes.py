"""How multilingual models call languages: `fr` is `fra_Latn` to NLLB, `fr_XX` to mBART."""

from collections.abc import Collection

_NLLB = dict(
    pair.split(":")
    for pair in (
        "af:afr_Latn am:amh_Ethi ar:arb_Arab as:asm_Beng az:azj_Latn be:bel_Cyrl bg:bul_Cyrl"
        " bn:ben_Beng bo:bod_Tibt bs:bos_Latn ca:cat_Latn cs:ces_Latn cy:cym_Latn da:dan_Latn"
        " de:deu_Latn el:ell_Grek en:eng_Latn eo:epo_Latn es:spa_Latn et:est_Latn eu:eus_Latn"
        " fa:pes_Arab fi:fin_Latn fo:fao_Latn fr:fra_Latn ga:gle_Latn gd:gla_Latn gl:glg_Latn"
        " gn:grn_Latn gu:guj_Gujr ha:hau_Latn he:heb_Hebr hi:hin_Deva hr:hrv_Latn ht:hat_Latn"
        " hu:hun_Latn hy:hye_Armn id:ind_Latn ig:ibo_Latn is:isl_Latn it:ita_Latn ja:jpn_Jpan"
        " jv:jav_Latn ka:kat_Geor kk:kaz_Cyrl km:khm_Khmr kn:kan_Knda ko:kor_Hang ky:kir_Cyrl"
        " lb:ltz_Latn lg:lug_Latn ln:lin_Latn lo:lao_Laoo lt:lit_Latn lv:lvs_Latn mg:plt_Latn"
        " mk:mkd_Cyrl ml:mal_Mlym mn:khk_Cyrl mr:mar_Deva ms:zsm_Latn mt:mlt_Latn my:mya_Mymr"
        " ne:npi_Deva nl:nld_Latn nn:nno_Latn no:nob_Latn oc:oci_Latn or:ory_Orya pa:pan_Guru"
        " pl:pol_Latn ps:pbt_Arab pt:por_Latn ro:ron_Latn ru:rus_Cyrl sa:san_Deva sc:srd_Latn"
        " sd:snd_Arab si:sin_Sinh sk:slk_Latn sl:slv_Latn so:som_Latn sq:als_Latn sr:srp_Cyrl"
        " su:sun_Latn sv:swe_Latn sw:swh_Latn ta:tam_Taml te:tel_Telu tg:tgk_Cyrl th:tha_Thai"
        " tk:tuk_Latn tl:tgl_Latn tr:tur_Latn tt:tat_Cyrl ug:uig_Arab uk:ukr_Cyrl ur:urd_Arab"
        " uz:uzn_Latn vi:vie_Latn xh:xho_Latn yi:ydd_Hebr yo:yor_Latn zh:zho_Hans zu:zul_Latn"
    ).split()
)

_THREE_LETTERS = {two: code[:3] for two, code in _NLLB.items()}
_TWO_LETTERS = {three: two for two, three in _THREE_LETTERS.items()}


def code_of(language: str, known: Collection[str]) -> str | None:
    """The code among `known` that means the language; None if there is none, or several might."""
    for code in (language, _NLLB.get(language, ""), _THREE_LETTERS.get(language, "")):
        if code in known:
            return code
    regional = [code for code in known if code.startswith(f"{language}_")]
    return regional[0] if len(regional) == 1 else None


def two_letters(code: str) -> str:
    """The language as recipes call it: `en` for `eng`; what has no shorter code stays."""
    return _TWO_LETTERS.get(code, code)
