"""What stands on forms, receipts and signs: dates, prices, numbers, addresses.

All generators take the language, whether or not it changes what they give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import capwords
from typing import Final

import numpy as np

from edgeocr_training.data.synthetic.corpora import Corpus
from edgeocr_training.data.synthetic.fonts import Language

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CURRENCIES: Final[Mapping[Language, str]] = {"en": "$$$€£", "zh": "¥￥￥"}
_DOMAINS: Final = ("com", "org", "net", "de", "co.uk", "cn", "com.cn", "io")
_CAPITALS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UNITS: Final = ("kg", "g", "ml", "L", "cm", "mm", "km", "°C", "V", "W", "GB", "MHz", "pcs", "%")
_ENGLISH_LABELS: Final = """\
Name|Date|Address|Telephone|Tel|Fax|E-mail|Invoice No.|Order No.|Customer|Amount|Total|Subtotal|\
Tax|VAT|Cash|Change|Quantity|Unit price|Description|Signature|Date of birth|Place|Department|\
Reference|Account No.|Page|From|To|Subject|Received by|Approved by|Remarks|Company|City|\
Postal code|Country|Position|Gender|Age|Discount|Cashier|Time|Table|Items|Paid|Balance|Due date|\
Serial No.|Model|Weight|Price|Status|Type|Code"""
_CHINESE_LABELS: Final = """\
姓名|日期|地址|电话|传真|邮箱|发票号码|订单编号|客户名称|金额|合计|小计|税额|税率|现金|找零|数量|单价|\
品名|规格型号|签字|出生年月|性别|年龄|部门|编号|账号|开户行|单位|收款人|复核|开票人|备注|公司名称|\
邮政编码|职务|折扣|收银员|时间|桌号|实收|应收|交易日期|商户名称|终端号|产地|净含量|生产日期|保质期|配料|\
执行标准|等级|项目|结果|单位名称|参考值|科室|身份证号|有效期|车牌号码|始发站|目的地|座位号"""
_LABELS: Final[Mapping[Language, tuple[str, ...]]] = {
    "en": tuple(_ENGLISH_LABELS.split("|")),
    "zh": tuple(_CHINESE_LABELS.split("|")),
}


def digits(rng: np.random.Generator, count: int) -> str:
    """So many digits."""
    return "".join(map(str, rng.integers(0, 10, count)))


def number(rng: np.random.Generator, language: Language) -> str:
    """A count, a decimal number, a percentage or a measure."""
    kind = rng.integers(5)
    whole = int(10 ** rng.uniform(0, 6))
    if kind == 0:
        return f"{whole:,}"
    if kind == 1:
        return f"{whole}"
    if kind == 2:
        return f"{whole % 1000}.{digits(rng, int(rng.integers(1, 4)))}"
    if kind == 3:
        return f"{rng.uniform(-20, 150):.{rng.integers(3)}f}%"
    gap = " " if rng.random() < 0.5 else ""
    return f"{whole % 10_000}{gap}{_UNITS[rng.integers(len(_UNITS))]}"


def price(rng: np.random.Generator, language: Language) -> str:
    """An amount of money, with or without its sign."""
    amount = f"{10 ** rng.uniform(0, 4):,.2f}"
    if rng.random() < 0.3:
        return amount.replace(",", "")
    signs = _CURRENCIES[language]
    if language == "zh" and rng.random() < 0.3:
        return f"{amount}元"
    return signs[rng.integers(len(signs))] + amount


def date(rng: np.random.Generator, language: Language) -> str:
    """A day, written in one of the usual ways."""
    year, month, day = rng.integers(1960, 2036), rng.integers(1, 13), rng.integers(1, 29)
    if language == "zh" and rng.random() < 0.5:
        return f"{year}年{month}月{day}日"
    name = _MONTHS[month - 1]
    forms: tuple[str, ...] = (
        f"{year}-{month:02}-{day:02}",
        f"{year}/{month}/{day}",
        f"{day:02}/{month:02}/{year}",
        f"{day:02}.{month:02}.{year}",
        f"{month}/{day}/{year % 100:02}",
    )
    if language == "en":
        forms += (
            f"{name} {day}, {year}",
            f"{day} {name[:3]} {year}",
            f"{_DAYS[rng.integers(7)]}, {day} {name}",
        )
    return forms[rng.integers(len(forms))]


def time(rng: np.random.Generator, language: Language) -> str:
    """A time of day."""
    hour, minute, second = rng.integers(24), rng.integers(60), rng.integers(60)
    kind = rng.integers(4)
    if kind == 0:
        return f"{hour:02}:{minute:02}:{second:02}"
    if kind == 1 and language == "en":
        return f"{hour % 12 + 1}:{minute:02} {'AM' if hour < 12 else 'PM'}"
    if kind == 1:
        return f"{'上午' if hour < 12 else '下午'}{hour % 12 + 1}:{minute:02}"
    return f"{hour:02}:{minute:02}"


def telephone(rng: np.random.Generator, language: Language) -> str:
    """A telephone number."""
    if language == "zh":
        forms = (
            f"1{rng.integers(3, 10)}{digits(rng, 9)}",
            f"0{digits(rng, 2)}-{digits(rng, 8)}",
            f"400-{digits(rng, 3)}-{digits(rng, 4)}",
        )
    else:
        forms = (
            f"({digits(rng, 3)}) {digits(rng, 3)}-{digits(rng, 4)}",
            f"+{rng.integers(1, 100)} {digits(rng, 3)} {digits(rng, 4)} {digits(rng, 3)}",
            f"{digits(rng, 3)} {digits(rng, 3)} {digits(rng, 4)}",
        )
    return forms[rng.integers(len(forms))]


def code(rng: np.random.Generator, language: Language) -> str:
    """A serial number, a flight, a plate: capitals and digits."""
    letters = "".join(_CAPITALS[place] for place in rng.integers(0, 26, int(rng.integers(1, 4))))
    joint = ("", "-", " ", "/", "")[rng.integers(5)]
    text = letters + joint + digits(rng, int(rng.integers(2, 9)))
    if rng.random() < 0.3:
        text += joint + _CAPITALS[rng.integers(26)]
    return text


def label(rng: np.random.Generator, language: Language) -> str:
    """The name of a field."""
    labels = _LABELS[language]
    return labels[rng.integers(len(labels))]


def e_mail(rng: np.random.Generator, language: Language) -> str:
    """An e-mail or web address; always of Latin letters."""
    name, host = _handle(rng), _handle(rng)
    domain = _DOMAINS[rng.integers(len(_DOMAINS))]
    kind = rng.integers(4)
    if kind == 0:
        return f"www.{host}.{domain}"
    if kind == 1:
        return f"http{'s' * int(rng.integers(2))}://{host}.{domain}/{name}"
    joint = ("", ".", "_")[rng.integers(3)]
    return f"{name}{joint}{digits(rng, int(rng.integers(1, 4)))}@{host}.{domain}"


def _handle(rng: np.random.Generator) -> str:
    """Two to four syllables."""
    return "".join(
        "bcdfghjklmnprstvwz"[rng.integers(18)] + "aeiou"[rng.integers(5)] + "n" * rng.integers(2)
        for _ in range(int(rng.integers(2, 5)))
    )


def person(rng: np.random.Generator, corpus: Corpus) -> str:
    """Something like a name."""
    if corpus.language == "zh":
        return corpus.phrase(rng, 2)[:3]
    return capwords(corpus.phrase(rng, 2))


def place(rng: np.random.Generator, corpus: Corpus) -> str:
    """An address."""
    if corpus.language == "zh":
        parts = (corpus.word(rng)[:3], corpus.word(rng)[:3], corpus.word(rng)[:3])
        return f"{parts[0]}市{parts[1]}区{parts[2]}路{rng.integers(1, 999)}号"
    street = ("Street", "Road", "Ave", "Lane", "Blvd.")[rng.integers(5)]
    return f"{rng.integers(1, 999)} {capwords(corpus.word(rng))} {street}, {digits(rng, 5)}"


_VALUES: Final[tuple[Callable[[np.random.Generator, Language], str], ...]] = (
    number,
    price,
    date,
    time,
    telephone,
    code,
    e_mail,
)


def value(rng: np.random.Generator, corpus: Corpus) -> str:
    """What is filled in after a label."""
    kind = rng.integers(len(_VALUES) + 3)
    if kind < len(_VALUES):
        return _VALUES[kind](rng, corpus.language)
    if kind == len(_VALUES):
        return person(rng, corpus)
    if kind == len(_VALUES) + 1:
        return place(rng, corpus)
    return corpus.phrase(rng, int(rng.integers(1, 4)))
