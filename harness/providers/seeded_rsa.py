"""RSA keys that follow from a run's secret: of signatures under events, and of DKIM.

A run must be repeatable, and no library derives an RSA key from a seed, so its two primes are the first
probable ones from two numbers that the secret determines. 1024 bits are found in some 20 ms. Worthless
anywhere else, as every credential of a run.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

BITS = 1024
EXPONENT = 65_537
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)  # bases of a test for probable primes
_SIEVE_BELOW = 2_000
_SPAN = 4_096


@lru_cache(maxsize=64)
def rsa_key(purpose: str, secret: str) -> RSAPrivateKey:
    """The same purpose and secret, the same key."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    p, q = _prime(purpose, secret, "p"), _prime(purpose, secret, "q")
    d = pow(EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(EXPONENT, p * q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return numbers.private_key()


def _prime(purpose: str, secret: str, name: str) -> int:
    """The first probable prime from a number that has its two highest bits set."""
    half = BITS // 2
    drawn = hashlib.shake_256(f"{purpose}\0{name}\0{secret}".encode()).digest(half // 8)
    base = int.from_bytes(drawn, "big") | 3 << half - 2 | 1
    small = [n for n in range(3, _SIEVE_BELOW, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]
    while True:
        candidates = bytearray(b"\1" * _SPAN)  # base + 2k
        for each in small:
            first = -base * pow(2, -1, each) % each
            candidates[first::each] = bytes(len(range(first, _SPAN, each)))
        for k, is_left in enumerate(candidates):
            number = base + 2 * k
            if is_left and _is_probable_prime(number) and (number - 1) % EXPONENT:
                return number
        base += 2 * _SPAN


def _is_probable_prime(number: int) -> bool:
    """Miller and Rabin's test."""
    odd = number - 1
    twos = (odd & -odd).bit_length() - 1
    odd >>= twos
    for base in _WITNESSES:
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True
