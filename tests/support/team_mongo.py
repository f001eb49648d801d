"""MongoDB as a team runs it: a replica set with TLS, users, and few rights for each."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from certificates import Authority
from harness import Mongod, connect, wait_for
from pymongo import MongoClient
from pymongo.errors import PyMongoError

PASSWORDS = {"admin": "a:secret/of@admin", "shipper": "s%hip", "serve": "se+rve"}
SET = "team"


class Member(Mongod):
    """A mongod of the set."""

    def __init__(self, folder: Path, authority: Authority, key: Path) -> None:
        pair = authority.issue(folder.name)
        super().__init__(
            folder,
            *("--replSet", SET, "--keyFile", str(key), "--tlsMode", "requireTLS"),
            *("--tlsCertificateKeyFile", str(pair.both)),
            *("--tlsCAFile", str(authority.file)),
            "--tlsAllowConnectionsWithoutCertificates",
        )
        self.uri += f"/?tls=true&tlsCAFile={quote(str(authority.file), safe='')}"


class TeamMongo:
    """A replica set whose members prove themselves by a private authority.

    Attributes:
        authority: What clients must trust.
        members: The mongods.
    """

    def __init__(self, folder: Path, size: int = 3) -> None:
        self.authority = Authority(folder / "ca")
        key = folder / "key"
        key.write_text("c2VjcmV0b2Z0aGVtZW1iZXJz" * 4)
        key.chmod(0o400)
        self.members = [
            Member(folder / f"member{number}", self.authority, key)
            for number in range(size)
        ]

    def start(self, database: str) -> "TeamMongo":
        """Start the set, and make the users that docs/scale.md names."""
        for member in self.members:
            member.start()
        hosts = [
            {"_id": number, "host": f"127.0.0.1:{member.port}"}
            for number, member in enumerate(self.members)
        ]
        with connect(self.members[0].uri) as client:
            config = {"_id": SET, "members": hosts}
            client.admin.command("replSetInitiate", config)
            wait_for(
                lambda: client.admin.command("hello")["isWritablePrimary"], "a primary"
            )
            self._create_user(client, "admin", ["root"])
        with self.client("admin") as client:
            self._create_users(client, database)
        return self

    def _create_users(self, client: MongoClient[Any], database: str) -> None:
        letters = {"db": database, "collection": "extract_dead_letters"}
        client.admin.command(
            "createRole",
            "serve",
            roles=[{"role": "read", "db": database}],
            privileges=[{"resource": letters, "actions": ["insert", "update"]}],
        )
        self._create_user(client, "shipper", [{"role": "readWrite", "db": database}])
        self._create_user(client, "serve", ["serve"])

    def _create_user(self, client: MongoClient[Any], name: str, roles: Any) -> None:
        client.admin.command("createUser", name, pwd=PASSWORDS[name], roles=roles)

    def uri(
        self, user: str, password: str | None = None, is_trusted: bool = True
    ) -> str:
        """The address for a user of the set."""
        secret = quote(password or PASSWORDS[user], safe="")
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        trusted = quote(str(self.authority.file), safe="")
        return f"mongodb://{user}:{secret}@{hosts}/?replicaSet={SET}&tls=true" + (
            f"&tlsCAFile={trusted}" if is_trusted else ""
        )

    def client(self, user: str) -> MongoClient[dict[str, Any]]:
        """A client of a user."""
        return MongoClient(self.uri(user))

    def kill(self) -> None:
        """Kill all members."""
        for member in self.members:
            member.kill()

    def primary(self) -> Member | None:
        """The member that takes writes, if there is one."""
        for member in self.members:
            try:
                with connect(member.uri, serverSelectionTimeoutMS=500) as client:
                    if client.admin.command("hello")["isWritablePrimary"]:
                        return member
            except PyMongoError:
                continue
        return None
