"""Lines over 12 MB: their bytes lie in GridFS, bucket `raw`."""

from gridfs import GridFSBucket

from cclake_flusher.documents import Document, bulky_id
from cclake_flusher.mongo import Mongo


def upload(mongo: Mongo, document: Document) -> None:
    """Put the bytes of a document into GridFS, once.

    The file's id follows from the document's, so a repeat after a crash finds
    it, or clears away what was left half done.

    Raises:
        PyMongoError: Not all of it was written; it can be repeated.
    """
    name = bulky_id(document.id)
    if mongo.database["raw.files"].find_one({"_id": name}, {"_id": 1}):
        return
    mongo.database["raw.chunks"].delete_many({"files_id": name})
    bucket = GridFSBucket(mongo.database, bucket_name="raw")
    bucket.upload_from_stream_with_id(name, document.id.hex(), document.line.body)
