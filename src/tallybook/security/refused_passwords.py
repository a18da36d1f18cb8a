"""The most common passwords of eight characters and more: guessed first, so refused.

Shorter ones are refused by their length. The list is spelled as favourite words, each with the endings that people
put behind them, and as walks over the keyboard.
"""

from __future__ import annotations

_WORDS = """
password passw0rd p@ssword p@ssw0rd passwort motdepasse welcome welkom letmein changeme iloveyou
qwerty qwertz azerty admin administrator root guest user login master secret access hello monkey
dragon football baseball basketball hockey soccer superman batman spiderman starwars pokemon naruto
minecraft sunshine princess shadow michael jordan charlie jessica jennifer ashley daniel andrew
thomas robert matthew anthony joshua nicole hannah amanda summer winter spring autumn freedom
whatever trustno computer internet google samsung apple iphone android liverpool chelsea arsenal
barcelona juventus ferrari mercedes porsche mustang harley corvette yamaha cheese cookie chocolate
banana butterfly flower angel lovely beautiful killer hunter ranger matrix phoenix tiger lion eagle
wolf dolphin abc test demo temp qazwsx asdfgh zxcvbn london paris berlin america india family
friends jesus blessed lucky money dollar company
""".split()
_ENDINGS = [
    "",
    "1",
    "12",
    "123",
    "1234",
    "12345",
    "123456",
    "!",
    "1!",
    "123!",
    "@123",
    "#1",
    "01",
    "007",
    "69",
    "99",
]
_YEARS = [str(year) for year in range(1980, 2031)]
_WALKS = """
12345678 123456789 1234567890 12345678910 123123123 1234512345 12341234 1234qwer 123qweasd 123qwe123
0123456789 09876543 987654321 9876543210 87654321 11111111 111111111 1111111111 00000000 000000000
22222222 33333333 44444444 55555555 66666666 77777777 88888888 99999999 11223344 1122334455
112233445566 12121212 13131313 10203040 01020304 123454321 147258369 159357456 789456123 741852963
963852741 14725836 31415926 55667788 123321123 147852369 456789123 qwertyui qwertyuio qwertyuiop
asdfghjk asdfghjkl zxcvbnm1 zxcvbnm123 zxcvbnm, 1qaz2wsx 1qaz2wsx3edc 1q2w3e4r 1q2w3e4r5t
1q2w3e4r5t6y q1w2e3r4 q1w2e3r4t5 qazwsxedc qwer1234 qwer123456 qweasdzxc qweasd123 asdf1234 asdfasdf
asdasdasd abcd1234 abcdefgh abcdefg1 abc12345 a1b2c3d4 a1234567 a12345678 a123456789 aa123456
aaaaaaaa aaaaaaaaaa zaq12wsx zaq1zaq1 xsw21qaz !qaz2wsx qwerty12345 poiuytre poiuytrewq lkjhgfdsa
mnbvcxz1 zzzzzzzz xxxxxxxx qqqqqqqq
""".split()
_REFUSED = frozenset([word + ending for word in _WORDS for ending in [*_ENDINGS, *_YEARS]] + _WALKS)


def is_refused(password: str) -> bool:
    """Whether the password, whatever its capitals, is one of the most common ones."""
    return password.lower() in _REFUSED
