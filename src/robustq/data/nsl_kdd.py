"""NSL-KDD: network connections, normal or attack, with a test part that holds new attacks."""

from __future__ import annotations

import numpy as np

from robustq.data.files import DataFile
from robustq.data.raw import RawData
from robustq.data.tables import encode, read_table

TRAIN = DataFile(
    "cyber/nsl_kdd/KDDTrain+_20Percent.txt.xz", "80fdffc392d0f7cf62a2b536e06a6db5394878ed5ac70e838a787e668a8a91e8"
)
TEST = DataFile("cyber/nsl_kdd/KDDTest+.txt.xz", "0ef8f276201169547c6acda5e2b3d6089c62725a8ffbfac37dfcbc0ca9917d03")

_COLUMNS = (
    "duration",
    "protocol_type",
    "service",
    "flag",
    "src_bytes",
    "dst_bytes",
    "land",
    "wrong_fragment",
    "urgent",
    "hot",
    "num_failed_logins",
    "logged_in",
    "num_compromised",
    "root_shell",
    "su_attempted",
    "num_root",
    "num_file_creations",
    "num_shells",
    "num_access_files",
    "num_outbound_cmds",
    "is_host_login",
    "is_guest_login",
    "count",
    "srv_count",
    "serror_rate",
    "srv_serror_rate",
    "rerror_rate",
    "srv_rerror_rate",
    "same_srv_rate",
    "diff_srv_rate",
    "srv_diff_host_rate",
    "dst_host_count",
    "dst_host_srv_count",
    "dst_host_same_srv_rate",
    "dst_host_diff_srv_rate",
    "dst_host_same_src_port_rate",
    "dst_host_srv_diff_host_rate",
    "dst_host_serror_rate",
    "dst_host_srv_serror_rate",
    "dst_host_rerror_rate",
    "dst_host_srv_rerror_rate",
)
_CATEGORICAL = ("protocol_type", "service", "flag")
_SKEWED = ("duration", "src_bytes", "dst_bytes")  # nine decades: a linear scale shows one row

_CATEGORIES = {
    "normal": "normal",
    "dos": "back land neptune pod smurf teardrop mailbomb apache2 processtable udpstorm",
    "probe": "satan ipsweep nmap portsweep mscan saint",
    "r2l": "guess_passwd ftp_write imap phf multihop warezmaster warezclient spy xlock xsnoop "
    "snmpguess snmpgetattack sendmail named worm",
    "u2r": "buffer_overflow loadmodule rootkit perl sqlattack xterm ps httptunnel",
}
_FIVE = {attack: number for number, attacks in enumerate(_CATEGORIES.values()) for attack in attacks.split()}
_TWO = {attack: min(number, 1) for attack, number in _FIVE.items()}

_SPLIT = (
    "official: KDDTrain+_20Percent (25,192) and KDDTest+ (22,544); 18 of the attacks occur only in "
    "the test part, and 117 distinct rows are in both parts; label and difficulty dropped; "
    "log1p of duration, src_bytes and dst_bytes; one-hot categories of the training part, "
    "others all zeros"
)


def nsl_kdd() -> RawData:
    """NSL-KDD: 25,192 / 22,544 x 118 (41 before one-hot), normal or attack, official split."""
    return _load("nsl-kdd", ("normal", "attack"), _TWO)


def nsl_kdd_five() -> RawData:
    """NSL-KDD: 25,192 / 22,544 x 118 (41 before one-hot), normal and four kinds of attack."""
    return _load("nsl-kdd-5", tuple(_CATEGORIES), _FIVE)


def _load(name: str, classes: tuple[str, ...], numbers: dict[str, int]) -> RawData:
    train = read_table(TRAIN.fetch(), (*_COLUMNS, "label", "difficulty"))
    test = read_table(TEST.fetch(), (*_COLUMNS, "label", "difficulty"))
    x_train, x_test, features = encode(train, test, _COLUMNS, _CATEGORICAL)
    skewed = [features.index(column) for column in _SKEWED]
    for x in (x_train, x_test):
        x[:, skewed] = np.log1p(x[:, skewed])
    return RawData(
        name,
        "tabular",
        x_train,
        train.labels("label", numbers),
        x_test,
        test.labels("label", numbers),
        classes=classes,
        features=tuple(f"log1p({f})" if f in _SKEWED else f for f in features),
        licence="none stated with the files; free with citation by its publisher's page",
        citation="Tavallaee, Bagheri, Lu & Ghorbani, CISDA 2009",
        split=_SPLIT,
    )
