"""Store lines over 12 MB in GridFS, bucket `raw`.

This follows the GridFS specification without the driver's class, which would collect
48 MB of chunks in memory before it sends the first.
"""

from datetime import UTC, datetime

from bson.binary import Binary
from bson.int64 import Int64
from cclake_archive.ids import gridfs_id

from cclake_flusher.documents import Document
from cclake_flusher.mongo import Mongo

CHUNK = 255 * 1024
CHUNKS_PER_INSERT = 16


def upload(mongo: Mongo, document: Document) -> None:
    """Put the bytes of a document into GridFS, once.

    The file's id follows from the document's. So a repeat after a crash finds the
    file, or deletes the chunks of an incomplete one.

    Raises:
        PyMongoError: Not all of it was written; the caller can try again.
    """
    name, body = gridfs_id(document.id), document.line.body
    files, chunks = mongo.database["raw.files"], mongo.database["raw.chunks"]
    if files.find_one({"_id": name}, {"_id": 1}):
        return
    chunks.create_index([("files_id", 1), ("n", 1)], unique=True)
    chunks.delete_many({"files_id": name})
    step = CHUNK * CHUNKS_PER_INSERT
    for start in range(0, len(body), step):
        end = min(len(body), start + step)
        chunks.insert_many(
            {"files_id": name, "n": at // CHUNK, "data": Binary(body[at : at + CHUNK])}
            for at in range(start, end, CHUNK)
        )
    # The file's own document comes last: if it exists, so do all chunks.
    files.insert_one(
        {
            "_id": name,
            "filename": document.id.hex(),
            "length": Int64(len(body)),
            "chunkSize": CHUNK,
            "uploadDate": datetime.now(UTC),
        }
    )
