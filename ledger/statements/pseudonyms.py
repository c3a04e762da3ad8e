"""Pseudonyms: under which a consumer appears in the records of one job, and who it is.

Each job has a key of its own, derived from the consumer's, so no two counterparties
ever meet the same one. The order conceals the account in a salted digest; what opens
it holds a signature of the account's key, so nobody can open it to somebody else.
"""

import hashlib
import hmac

from ledger.document import Base64, Document, PublicKeyText
from ledger.encoding import canonical_json, decode_base64, encode_base64
from ledger.errors import EncodingError, SignatureError
from ledger.signing import SEED_BYTES, PrivateKey, PublicKey

SECRET_LABEL = b"sixfold/job-secret/v1\n"
AUTHORISATION_LABEL = b"sixfold/pseudonym/v1\n"


class Authorisation(Document):
    """An account's word that a job under a pseudonym is its own."""

    key: PublicKeyText
    signature: Base64

    @property
    def account_id(self) -> str:
        """The account that the key stands for.

        Raises:
            SignatureError: The key is malformed.
        """
        return PublicKey.from_text(self.key).account_id


def pseudonym_key(key: PrivateKey, job_id: str) -> PrivateKey:
    """The key under which a consumer signs for one job.

    Derived, so that a consumer who lost everything but its key finds it again.

    Source: HMAC-SHA512 as a pseudo-random function (RFC 2104).
    """
    return PrivateKey(_job_secret(key, "pseudonym", job_id)[:SEED_BYTES])


def record_key(key: PrivateKey, job_id: str) -> bytes:
    """The 32 bytes that blind the numbers of one job's records.

    The consumer gives them to the market with the order, and the market to the node.
    """
    return _job_secret(key, "record", job_id)[:32]


def authorise(key: PrivateKey, job_id: str, pseudonym: str) -> Authorisation:
    """Say that a pseudonym's job is this key's account's."""
    signature = key.sign(_message(job_id, pseudonym))
    return Authorisation(key=key.public.text, signature=encode_base64(signature))


def verify_authorisation(
    authorisation: Authorisation, job_id: str, pseudonym: str
) -> None:
    """Check that an account says so.

    Raises:
        SignatureError: It does not.
    """
    try:
        signature = decode_base64(authorisation.signature)
    except EncodingError as error:
        raise SignatureError("A signature that is not base64.") from error
    key = PublicKey.from_text(authorisation.key)
    key.verify(_message(job_id, pseudonym), signature)


def _message(job_id: str, pseudonym: str) -> bytes:
    return AUTHORISATION_LABEL + canonical_json([job_id, pseudonym])


def _job_secret(key: PrivateKey, purpose: str, job_id: str) -> bytes:
    message = SECRET_LABEL + canonical_json([purpose, job_id])
    return hmac.digest(key.seed, message, hashlib.sha512)
