"""Lines over 12 MB: their bytes lie in GridFS, bucket `raw`.

Written by hand as the GridFS specification says: the driver would collect 48 MB
of chunks in memory before it sends the first.
"""

from datetime import UTC, datetime

from bson.binary import Binary
from bson.int64 import Int64

from cclake_flusher.documents import Document, bulky_id
from cclake_flusher.mongo import Mongo

CHUNK = 255 * 1024
TOGETHER = 16


def upload(mongo: Mongo, document: Document) -> None:
    """Put the bytes of a document into GridFS, once.

    The file's id follows from the document's, so a repeat after a crash finds
    it, or clears away what was left half done.

    Raises:
        PyMongoError: Not all of it was written; it can be repeated.
    """
    name, body = bulky_id(document.id), document.line.body
    files, chunks = mongo.database["raw.files"], mongo.database["raw.chunks"]
    if files.find_one({"_id": name}, {"_id": 1}):
        return
    chunks.create_index([("files_id", 1), ("n", 1)], unique=True)
    chunks.delete_many({"files_id": name})
    for start in range(0, len(body), CHUNK * TOGETHER):
        end = min(len(body), start + CHUNK * TOGETHER)
        chunks.insert_many(
            {"files_id": name, "n": at // CHUNK, "data": Binary(body[at : at + CHUNK])}
            for at in range(start, end, CHUNK)
        )
    # The file's own document comes last: with it, all chunks are there.
    files.insert_one(
        {
            "_id": name,
            "filename": document.id.hex(),
            "length": Int64(len(body)),
            "chunkSize": CHUNK,
            "uploadDate": datetime.now(UTC),
        }
    )
