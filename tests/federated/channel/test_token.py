"""Keys at rest that a token seals (PKCS #11), with SoftHSM where it is installed: `apt-get install softhsm2`."""

import shutil
import subprocess
from pathlib import Path

import pytest

from federated.channel import passphrase
from federated.channel.certificates import Party
from federated.channel.node_keys import NodeKeys
from federated.channel.passphrase import PASSPHRASE, PIN, TOKEN, make_secret
from federated.errors import ChannelRefused

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
installed = pytest.mark.skipif(
    not MODULE.exists() or not shutil.which("softhsm2-util"), reason="SoftHSM is not installed"
)


def uri(name="bank-gusu"):
    return f"pkcs11:token=suzhou;object={name}?module-path={MODULE}"


@pytest.fixture
def token(tmp_path, monkeypatch):
    """A fresh token with a secret in it, which this process seals with."""
    pytest.importorskip("pkcs11")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    made = ["softhsm2-util", "--init-token", "--free", "--label", "suzhou", "--so-pin", "5678", "--pin", "1234"]
    subprocess.run(made, check=True, capture_output=True)
    return tmp_path


@installed
def test_what_a_token_seals_is_opened_by_that_token_alone(token, monkeypatch, tmp_path):
    make_secret(uri(), "1234")
    with pytest.raises(ChannelRefused, match="already"):
        make_secret(uri(), "1234")
    monkeypatch.setenv(TOKEN, uri())
    monkeypatch.setenv(PIN, "1234")
    word = passphrase.passphrase()
    assert len(bytes.fromhex(word)) == 32
    keys = NodeKeys.create(tmp_path / "home", Party("bank", "bank-gusu"), ["127.0.0.1"])
    assert keys.password() == word.encode()
    assert not list((tmp_path / "home").rglob("*.tls")), "no secret lies beside what it seals"
    passphrase._answered.cache_clear()
    for changed, said in (
        ({PIN: "4321"}, "does not do what is asked of it"),
        ({TOKEN: uri("another")}, "no secret called another"),
        ({TOKEN: uri().replace("suzhou", "beijing")}, "does not do what is asked of it"),
        ({TOKEN: "pkcs11:token=suzhou"}, "RFC 7512"),
        ({PASSPHRASE: "correct horse battery"}, "both set"),
    ):
        with monkeypatch.context() as wrong:
            for name, value in changed.items():
                wrong.setenv(name, value)
            with pytest.raises(ChannelRefused, match=said):
                keys.password()
    with monkeypatch.context() as without:
        without.delenv(TOKEN)
        with pytest.raises(ChannelRefused, match="missing"):
            keys.password()
    assert keys.password() == word.encode()


def test_without_its_library_a_token_is_asked_for_in_vain_and_says_so(monkeypatch):
    monkeypatch.setenv(TOKEN, uri())
    monkeypatch.setenv(PIN, "1234")
    monkeypatch.setitem(__import__("sys").modules, "pkcs11", None)
    passphrase._answered.cache_clear()
    with pytest.raises(ChannelRefused, match=r"tanxin\[pkcs11\]"):
        passphrase.passphrase()
