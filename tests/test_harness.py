from harness import Mongod, connect


def test_the_private_mongod_is_a_real_one(mongod: Mongod, mongo_db: str) -> None:
    with connect(mongod.uri) as client:
        client[mongo_db].things.insert_one({"_id": 1})
        assert client[mongo_db].things.count_documents({}) == 1
        assert client.server_info()["version"].split(".")[0] >= "5"
