"""Put a PAdES signature on a PDF document (ETSI EN 319 142, by pyHanko), and check one."""

from __future__ import annotations

import io

from pyhanko.keys.pemder import load_certs_from_pemder_data, load_private_key_from_pemder_data
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko_certvalidator.registry import SimpleCertificateStore

from credit_api.certificates.authority import Credential

FIELD = "TanxinSignature"


def sign_document(document: bytes, credential: Credential, *, reason: str) -> bytes:
    """The document with an invisible signature over all of it; any later change breaks it."""
    store = SimpleCertificateStore.from_certs(  # type: ignore[no-untyped-call]
        load_certs_from_pemder_data(credential.root_pem)
    )
    (certificate,) = load_certs_from_pemder_data(credential.certificate_pem)
    signer = signers.SimpleSigner(
        signing_cert=certificate,
        signing_key=load_private_key_from_pemder_data(credential.key_pem, passphrase=None),
        cert_registry=store,
    )
    metadata = signers.PdfSignatureMetadata(
        field_name=FIELD,
        reason=reason,
        location="Suzhou",
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        use_pades_lta=False,
    )
    output = io.BytesIO()
    session = signers.PdfSigner(metadata, signer=signer)
    session.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(document)), output=output)
    return output.getvalue()
