BEGIN TRANSACTION;
CREATE TABLE bound (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "bound" VALUES('archive','ARCHIVE');
INSERT INTO "bound" VALUES('model or choice of options','d60fefbc947ffd1b36bc6722e06391ebe6c358807dc48a813fcbcfb064a988e2 0.1.0 SegmentOptions(pixel_spacing_mm=None, gate=True, frame=None, picture_side=0, activation=False, objects=True)');
INSERT INTO "bound" VALUES('choice of formats','json');
INSERT INTO "bound" VALUES('choice of names','UIDs');
INSERT INTO "bound" VALUES('secret for pseudonyms','none');
CREATE TABLE image (
    image TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    location BLOB NOT NULL,
    files TEXT NOT NULL,
    row TEXT NOT NULL
);
INSERT INTO "image" VALUES('1.2.3.4.1.1','DIGEST',X'LOCATION','{"images/85/1.2.3.4.1.1.json": 2}','{"image": "1.2.3.4.1.1", "study": "1.2.3.4", "series": "1.2.3.4.1", "laterality": null, "view_position": null, "frame": null, "rows": 72, "columns": 56, "pixel_spacing_row_mm": null, "pixel_spacing_column_mm": null, "score": 0.880797, "threshold": 0.5, "decision": true, "gated": false, "regions": 1, "selected_regions": 1, "mask_area_mm2": null, "max_probability": 0.99838, "warnings": "spacing-assumed", "model": "identity", "model_version": "0.0.1", "model_sha256": "d60fefbc947ffd1b36bc6722e06391ebe6c358807dc48a813fcbcfb064a988e2", "results": "images/85/1.2.3.4.1.1"}');
CREATE TABLE item (
    location BLOB PRIMARY KEY,
    version TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT,
    image TEXT
) WITHOUT ROWID;
INSERT INTO "item" VALUES(X'LOCATION','5 123456789','done',NULL,'1.2.3.4.1.1');
CREATE TABLE looked_for (modalities TEXT NOT NULL);
INSERT INTO "looked_for" VALUES('MG');
CREATE TABLE region (
    image TEXT NOT NULL REFERENCES image ON DELETE CASCADE,
    number INTEGER NOT NULL,
    row TEXT NOT NULL,
    PRIMARY KEY (image, number)
) WITHOUT ROWID;
INSERT INTO "region" VALUES('1.2.3.4.1.1',1,'{"image": "1.2.3.4.1.1", "study": "1.2.3.4", "series": "1.2.3.4.1", "number": 1, "left": 0, "top": 32, "width": 7, "height": 12, "centroid_x": 2.49, "centroid_y": 37.35, "area_mm2": null, "max_probability": 0.99838, "mean_probability": 0.875804, "selected": true, "label": null}');
COMMIT;
PRAGMA user_version = 1;
