PRAGMA application_id = 1330791240;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE event (
            id         INTEGER PRIMARY KEY,
            report_id  INTEGER NOT NULL REFERENCES report (id),
            at         INTEGER NOT NULL,
            kind       TEXT NOT NULL,
            from_state TEXT,
            to_state   TEXT NOT NULL,
            facts      TEXT NOT NULL
        ) STRICT
        ;
INSERT INTO "event" VALUES(1,1,1773115200218,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(2,2,1773115200219,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(3,3,1773115200219,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(4,4,1773115200221,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(5,5,1773115200221,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(6,6,1773115200222,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(7,1,1773115200226,'Created','submitting','submitted','{"request_id": "ri3p58f-c4cda6e6-a4c4-dc72-85bc-25859cf986db"}');
INSERT INTO "event" VALUES(8,7,1773115200226,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(9,8,1773115200227,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(10,2,1773115200231,'Created','submitting','submitted','{"request_id": "ri3p58f-00bcb93a-4df4-5942-4a77-0676403cefa7"}');
INSERT INTO "event" VALUES(11,3,1773115200232,'Created','submitting','submitted','{"request_id": "ri3p58f-eb02778f-e261-7c19-0c8e-34937fce2333"}');
INSERT INTO "event" VALUES(12,4,1773115200232,'Created','submitting','submitted','{"request_id": "ri3p58f-62be85a6-b137-e177-0b04-f19d3e6fa620"}');
INSERT INTO "event" VALUES(13,5,1773115200236,'Created','submitting','submitted','{"request_id": "ri3p58f-dc06dfe3-094c-5f96-6a7a-f52a7e2ba079"}');
INSERT INTO "event" VALUES(14,6,1773115200238,'Created','submitting','submitted','{"request_id": "ri3p58f-4ed3230b-32e4-374b-b189-373c76239d43"}');
INSERT INTO "event" VALUES(15,7,1773115200238,'Created','submitting','submitted','{"request_id": "ri3p58f-18efa47f-a87c-1897-20ad-2a5a3404502a"}');
INSERT INTO "event" VALUES(16,8,1773115200244,'Created','submitting','submitted','{"request_id": "ri3p58f-13a77eef-54a8-b643-3b73-1dd029db9f8a"}');
INSERT INTO "event" VALUES(17,1,1773115200293,'Finished','submitted','ready','{"items_count": 6}');
INSERT INTO "event" VALUES(18,2,1773115200293,'Finished','submitted','ready','{"items_count": 9}');
INSERT INTO "event" VALUES(19,3,1773115200293,'Finished','submitted','ready','{"items_count": 4}');
INSERT INTO "event" VALUES(20,4,1773115200293,'Finished','submitted','ready','{"items_count": 0}');
INSERT INTO "event" VALUES(21,5,1773115200293,'Finished','submitted','ready','{"items_count": 4}');
INSERT INTO "event" VALUES(22,6,1773115200293,'Finished','submitted','ready','{"items_count": 11}');
INSERT INTO "event" VALUES(23,7,1773115200293,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(24,8,1773115200321,'Finished','submitted','ready','{"items_count": 0}');
INSERT INTO "event" VALUES(25,1,1773115200327,'Verified','ready','verified','{"sha256": "020e6bc65f03c102c9169fa5eabd396543e970be4692ef524ed3197ab1acd96f", "rows": 6, "size_bytes": 2315, "target": "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20251201T000000Z_20260101T000000Z.csv", "columns": {"dropped": ["price"], "hashed": ["to"], "without_type": []}}');
INSERT INTO "event" VALUES(26,3,1773115200330,'Verified','ready','verified','{"sha256": "52a290b7d78ea64a000b51b6f7c7ababeffac2e1d6989a827a54124737c37bf5", "rows": 4, "size_bytes": 1612, "target": "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260201T000000Z_20260301T000000Z.csv", "columns": {"dropped": ["price"], "hashed": ["to"], "without_type": []}}');
INSERT INTO "event" VALUES(27,4,1773115200332,'Verified','ready','verified','{"sha256": "a6b1ccb3106812e8b5e010db7c8522dd35c7095e6c2bf6876502e7484fbffe17", "rows": 0, "size_bytes": 278, "target": "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260308T000000Z_20260309T000000Z.csv", "columns": {"dropped": ["price"], "hashed": ["to"], "without_type": []}}');
INSERT INTO "event" VALUES(28,3,1773115200354,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(29,1,1773115200355,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(30,6,1773115200355,'Verified','ready','verified','{"sha256": "c4cf2160221dbc4ee2fb581b505a07835410f5457ccc2d086d161a6b2615101d", "rows": 11, "size_bytes": 4172, "target": "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260101T000000Z_20260201T000000Z.csv", "columns": {"dropped": [], "hashed": ["to"], "without_type": []}}');
INSERT INTO "event" VALUES(31,4,1773115200355,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(32,5,1773115200355,'Verified','ready','verified','{"sha256": "0261b902e69d2d6d17c92bf9cdd8c6a02e04311d9cc75fcc8e961d09216066b1", "rows": 4, "size_bytes": 1744, "target": "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20251201T000000Z_20260101T000000Z.csv", "columns": {"dropped": [], "hashed": ["to"], "without_type": []}}');
INSERT INTO "event" VALUES(33,7,1773115200360,'Verified','ready','verified','{"sha256": "865bb940136a38f7c2773329e7399b087a294edd4de070a9f270173040f25224", "rows": 5, "size_bytes": 2098, "target": "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260201T000000Z_20260301T000000Z.csv", "columns": {"dropped": [], "hashed": ["to"], "without_type": []}}');
INSERT INTO "event" VALUES(34,8,1773115200361,'Verified','ready','verified','{"sha256": "b438df2ec119598b853628d389b11f437ec9071613d26a8cf03202ad8902bdfc", "rows": 0, "size_bytes": 357, "target": "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260308T000000Z_20260309T000000Z.csv", "columns": {"dropped": [], "hashed": ["to"], "without_type": []}}');
INSERT INTO "event" VALUES(35,7,1773115200377,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(36,5,1773115200378,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(37,8,1773115200378,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(38,6,1773115200379,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(39,2,1773115200412,'Disputed','ready','disputed','{"reason": "the CSV holds 8 records, the API promised 9 (after 3 downloads)", "cut": false}');
INSERT INTO "event" VALUES(40,9,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(41,10,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(42,10,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200201"}');
INSERT INTO "event" VALUES(43,11,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(44,11,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200301"}');
INSERT INTO "event" VALUES(45,11,1773126000000,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(46,12,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(47,12,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200401"}');
INSERT INTO "event" VALUES(48,12,1773126000000,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(49,12,1773129600000,'Verified','ready','verified','{"sha256": "0000000000000000000000000000000000000000000000000000000000000000", "rows": 5, "size_bytes": 100, "target": "report.csv"}');
INSERT INTO "event" VALUES(50,13,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(51,13,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200501"}');
INSERT INTO "event" VALUES(52,13,1773126000000,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(53,13,1773129600000,'Verified','ready','verified','{"sha256": "0000000000000000000000000000000000000000000000000000000000000000", "rows": 5, "size_bytes": 100, "target": "report.csv"}');
INSERT INTO "event" VALUES(54,13,1773133200000,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(55,14,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(56,14,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200601"}');
INSERT INTO "event" VALUES(57,14,1773126000000,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(58,14,1773129600000,'Verified','ready','verified','{"sha256": "0000000000000000000000000000000000000000000000000000000000000000", "rows": 5, "size_bytes": 100, "target": "report.csv"}');
INSERT INTO "event" VALUES(59,14,1773133200000,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(60,14,1773136800000,'Superseded','collected','superseded','{"reason": "by report 99"}');
INSERT INTO "event" VALUES(61,15,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(62,15,1773122400000,'NotCreated','submitting','absent','{"reason": "HTTP 403 Forbidden"}');
INSERT INTO "event" VALUES(63,16,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(64,16,1773122400000,'Held','submitting','held','{"reason": "the list proves nothing"}');
INSERT INTO "event" VALUES(65,17,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(66,17,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200901"}');
INSERT INTO "event" VALUES(67,17,1773126000000,'Disputed','submitted','disputed','{"reason": "not what was asked for", "cut": false}');
INSERT INTO "event" VALUES(68,18,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(69,18,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20201001"}');
INSERT INTO "event" VALUES(70,18,1773126000000,'Disputed','submitted','disputed','{"reason": "wrong", "cut": false}');
INSERT INTO "event" VALUES(71,18,1773129600000,'Waived','disputed','waived','{"reason": "waived by the user"}');
INSERT INTO "event" VALUES(72,19,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(73,19,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20201101"}');
INSERT INTO "event" VALUES(74,19,1773126000000,'Disputed','submitted','disputed','{"reason": "wrong", "cut": false}');
INSERT INTO "event" VALUES(75,19,1773129600000,'Resubmitted','disputed','discarded','{"reason": "bought again", "proof": "a person said so"}');
INSERT INTO "event" VALUES(76,20,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(77,20,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20201201"}');
INSERT INTO "event" VALUES(78,20,1773126000000,'CutShort','submitted','truncated','{"items_count": 7000000, "reason": "the API says TRUNCATED"}');
INSERT INTO "event" VALUES(79,21,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(80,21,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20210101"}');
INSERT INTO "event" VALUES(81,21,1773126000000,'Failed','submitted','failed','{"reason": "the API says FAILED"}');
INSERT INTO "event" VALUES(82,22,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(83,22,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20210201"}');
INSERT INTO "event" VALUES(84,22,1773126000000,'Aborted','submitted','aborted','{"reason": "the API says ABORTED"}');
INSERT INTO "event" VALUES(85,23,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(86,23,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20210301"}');
INSERT INTO "event" VALUES(87,23,1773126000000,'Cancelled','submitted','cancelled','{"reason": "cancelled by the user"}');
INSERT INTO "event" VALUES(88,24,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(89,24,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20210401"}');
INSERT INTO "event" VALUES(90,24,1773126000000,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(91,24,1773129600000,'FileGone','ready','expired','{"reason": "404 for the file", "proof": "the life of the file is over"}');
INSERT INTO "event" VALUES(92,25,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(93,25,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20210501"}');
INSERT INTO "event" VALUES(94,25,1773126000000,'Lost','submitted','lost','{"reason": "404 for the id", "proof": "the life of the report is over"}');
INSERT INTO "event" VALUES(95,26,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(96,26,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20251101"}');
INSERT INTO "event" VALUES(97,26,1773151200000,'Failed','submitted','failed','{"reason": "the API says FAILED"}');
INSERT INTO "event" VALUES(98,27,1773118800000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(99,27,1773122400000,'Created','submitting','submitted','{"request_id": "id-578ffa-20251001"}');
INSERT INTO "event" VALUES(100,27,1773151200000,'Failed','submitted','failed','{"reason": "the API says FAILED"}');
INSERT INTO "event" VALUES(101,2,1795679020142,'Accepted','disputed','verified','{"sha256": "731db0ee66bf41a3fc7a8f3bf65dc88696357593d67132a53ec360ba11f6abd5", "rows": 8, "size_bytes": 2928, "target": "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260101T000000Z_20260201T000000Z.csv", "columns": {"dropped": ["price"], "hashed": ["to"], "without_type": []}}');
INSERT INTO "event" VALUES(102,2,1795679020159,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(103,28,1773122400042,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(104,29,1773122400043,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(105,28,1773122400050,'Created','submitting','submitted','{"request_id": "ri3p58f-460f7c9a-2ea3-16cc-ff1c-5a61adb8e2f3"}');
INSERT INTO "event" VALUES(106,29,1773122400055,'Created','submitting','submitted','{"request_id": "ri3p58f-77dc1c67-7bf7-da31-216f-97d9511fb2bb"}');
INSERT INTO "event" VALUES(107,28,1773122400091,'Finished','submitted','ready','{"items_count": 8}');
INSERT INTO "event" VALUES(108,28,1773122400111,'Verified','ready','verified','{"sha256": "731db0ee66bf41a3fc7a8f3bf65dc88696357593d67132a53ec360ba11f6abd5", "rows": 8, "size_bytes": 2928, "target": "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260101T000000Z_20260201T000000Z_e2.csv", "columns": {"dropped": ["price"], "hashed": ["to"], "without_type": []}}');
INSERT INTO "event" VALUES(109,29,1773122400121,'Finished','submitted','ready','{"items_count": 11}');
INSERT INTO "event" VALUES(110,28,1773122400122,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(111,2,1773122400122,'Superseded','collected','superseded','{"reason": "by report 28, edition 2"}');
INSERT INTO "event" VALUES(112,29,1773122400125,'Verified','ready','verified','{"sha256": "c4cf2160221dbc4ee2fb581b505a07835410f5457ccc2d086d161a6b2615101d", "rows": 11, "size_bytes": 4172, "target": "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260101T000000Z_20260201T000000Z_e2.csv", "columns": {"dropped": [], "hashed": ["to"], "without_type": []}}');
INSERT INTO "event" VALUES(113,2,1773122400126,'Withdrawn','superseded','superseded','{"target": "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260101T000000Z_20260201T000000Z.csv"}');
INSERT INTO "event" VALUES(114,29,1773122400127,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(115,6,1773122400127,'Superseded','collected','superseded','{"reason": "by report 29, edition 2"}');
INSERT INTO "event" VALUES(116,6,1773122400142,'Withdrawn','superseded','superseded','{"target": "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260101T000000Z_20260201T000000Z.csv"}');
INSERT INTO "event" VALUES(117,12,1773201600032,'FileMissing','verified','ready','{"reason": "the verified file is not there any more; fetched again"}');
INSERT INTO "event" VALUES(118,9,1773201601558,'FoundAbsent','submitting','absent','{"reason": "3 lists that reach across the moment of the create, or are whole, do not show this one", "proof": "lists lack it"}');
INSERT INTO "event" VALUES(119,16,1773201601563,'FoundAbsent','held','absent','{"reason": "3 lists that reach across the moment of the create, or are whole, do not show this one", "proof": "lists lack it"}');
CREATE TABLE foreign_rows (
            report_id  INTEGER NOT NULL REFERENCES report (id),
            account_id TEXT NOT NULL,
            rows       INTEGER NOT NULL,
            PRIMARY KEY (report_id, account_id)
        ) STRICT, WITHOUT ROWID
        ;
CREATE TABLE given_up (
            id           INTEGER PRIMARY KEY,
            series_id    INTEGER NOT NULL REFERENCES series (id),
            window_start INTEGER NOT NULL,
            window_end   INTEGER NOT NULL CHECK (window_start < window_end),
            report_id    INTEGER REFERENCES report (id),
            reason       TEXT NOT NULL,
            at           INTEGER NOT NULL,
            acknowledged INTEGER NOT NULL DEFAULT 0
        ) STRICT
        ;
INSERT INTO "given_up" VALUES(1,3,1761955200,1763164800,26,'9 reports came to nothing',1773151200000,0);
INSERT INTO "given_up" VALUES(2,3,1759276800,1760486400,27,'9 reports came to nothing',1773151200000,1);
CREATE TABLE identity (
            id         TEXT NOT NULL,
            generation INTEGER NOT NULL,
            changes    INTEGER NOT NULL
        , rebuilt_at INTEGER) STRICT
        ;
INSERT INTO "identity" VALUES('c3735233811c9df0d766357169820455',1,25,NULL);
CREATE TABLE mark (
            job       TEXT NOT NULL,
            series_id INTEGER NOT NULL REFERENCES series (id),
            at        INTEGER NOT NULL,
            PRIMARY KEY (job, series_id)
        ) STRICT, WITHOUT ROWID
        ;
INSERT INTO "mark" VALUES('nightly',1,1773100800000);
INSERT INTO "mark" VALUES('nightly',2,1773100800000);
CREATE TABLE report (
            id              INTEGER PRIMARY KEY,
            series_id       INTEGER NOT NULL REFERENCES series (id),
            window_start    INTEGER NOT NULL,
            window_end      INTEGER NOT NULL CHECK (window_start < window_end),
            state           TEXT NOT NULL,
            is_open         INTEGER NOT NULL,
            has_window      INTEGER NOT NULL,
            api_key         TEXT NOT NULL,
            job             TEXT NOT NULL,
            intended_at     INTEGER NOT NULL,
            server_ahead    INTEGER NOT NULL,
            callback_url    TEXT,
            request_id      TEXT,
            submitted_at    INTEGER,
            ready_at        INTEGER,
            items_count     INTEGER,
            download_url    TEXT,
            rows            INTEGER,
            size_bytes      INTEGER,
            sha256          TEXT,
            target          TEXT,
            reason          TEXT NOT NULL DEFAULT '',
            changed_at      INTEGER NOT NULL,
            edition         INTEGER NOT NULL DEFAULT 1,
            replaces        INTEGER REFERENCES report (id)
        , failed INTEGER, finding TEXT, columns TEXT, collected_change INTEGER, removed_change INTEGER) STRICT
        ;
INSERT INTO "report" VALUES(1,1,1764547200,1767225600,'collected',0,1,'abcd1234','nightly',1773115200218,-14094203,NULL,'ri3p58f-c4cda6e6-a4c4-dc72-85bc-25859cf986db',1773115200226,1773115200293,6,NULL,6,2315,'020e6bc65f03c102c9169fa5eabd396543e970be4692ef524ed3197ab1acd96f','report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20251201T000000Z_20260101T000000Z.csv','',1773115200355,1,NULL,NULL,NULL,'{"dropped": ["price"], "hashed": ["to"], "without_type": []}',9,NULL);
INSERT INTO "report" VALUES(2,1,1767225600,1769904000,'superseded',0,0,'abcd1234','nightly',1773115200219,-14094203,NULL,'ri3p58f-00bcb93a-4df4-5942-4a77-0676403cefa7',1773115200231,1773115200293,9,NULL,8,2928,'731db0ee66bf41a3fc7a8f3bf65dc88696357593d67132a53ec360ba11f6abd5',NULL,'by report 28, edition 2',1773122400122,1,NULL,NULL,'the CSV holds 8 records, the API promised 9 (after 3 downloads)','{"dropped": ["price"], "hashed": ["to"], "without_type": []}',15,20);
INSERT INTO "report" VALUES(3,1,1769904000,1772323200,'collected',0,1,'abcd1234','nightly',1773115200219,-14094203,NULL,'ri3p58f-eb02778f-e261-7c19-0c8e-34937fce2333',1773115200232,1773115200293,4,NULL,4,1612,'52a290b7d78ea64a000b51b6f7c7ababeffac2e1d6989a827a54124737c37bf5','report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260201T000000Z_20260301T000000Z.csv','',1773115200354,1,NULL,NULL,NULL,'{"dropped": ["price"], "hashed": ["to"], "without_type": []}',8,NULL);
INSERT INTO "report" VALUES(4,1,1772928000,1773014400,'collected',0,1,'abcd1234','nightly',1773115200221,-14094203,NULL,'ri3p58f-62be85a6-b137-e177-0b04-f19d3e6fa620',1773115200232,1773115200293,0,NULL,0,278,'a6b1ccb3106812e8b5e010db7c8522dd35c7095e6c2bf6876502e7484fbffe17','report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260308T000000Z_20260309T000000Z.csv','',1773115200355,1,NULL,NULL,NULL,'{"dropped": ["price"], "hashed": ["to"], "without_type": []}',9,NULL);
INSERT INTO "report" VALUES(5,2,1764547200,1767225600,'collected',0,1,'abcd1234','nightly',1773115200221,-14094203,NULL,'ri3p58f-dc06dfe3-094c-5f96-6a7a-f52a7e2ba079',1773115200236,1773115200293,4,NULL,4,1744,'0261b902e69d2d6d17c92bf9cdd8c6a02e04311d9cc75fcc8e961d09216066b1','report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20251201T000000Z_20260101T000000Z.csv','',1773115200378,1,NULL,NULL,NULL,'{"dropped": [], "hashed": ["to"], "without_type": []}',11,NULL);
INSERT INTO "report" VALUES(6,2,1767225600,1769904000,'superseded',0,0,'abcd1234','nightly',1773115200222,-14094203,NULL,'ri3p58f-4ed3230b-32e4-374b-b189-373c76239d43',1773115200238,1773115200293,11,NULL,11,4172,'c4cf2160221dbc4ee2fb581b505a07835410f5457ccc2d086d161a6b2615101d',NULL,'by report 29, edition 2',1773122400127,1,NULL,NULL,NULL,'{"dropped": [], "hashed": ["to"], "without_type": []}',11,22);
INSERT INTO "report" VALUES(7,2,1769904000,1772323200,'collected',0,1,'abcd1234','nightly',1773115200226,-14085226,NULL,'ri3p58f-18efa47f-a87c-1897-20ad-2a5a3404502a',1773115200238,1773115200293,5,NULL,5,2098,'865bb940136a38f7c2773329e7399b087a294edd4de070a9f270173040f25224','report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260201T000000Z_20260301T000000Z.csv','',1773115200377,1,NULL,NULL,NULL,'{"dropped": [], "hashed": ["to"], "without_type": []}',10,NULL);
INSERT INTO "report" VALUES(8,2,1772928000,1773014400,'collected',0,1,'abcd1234','nightly',1773115200227,-14085226,NULL,'ri3p58f-13a77eef-54a8-b643-3b73-1dd029db9f8a',1773115200244,1773115200321,0,NULL,0,357,'b438df2ec119598b853628d389b11f437ec9071613d26a8cf03202ad8902bdfc','report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260308T000000Z_20260309T000000Z.csv','',1773115200378,1,NULL,NULL,NULL,'{"dropped": [], "hashed": ["to"], "without_type": []}',11,NULL);
INSERT INTO "report" VALUES(9,3,1577836800,1579046400,'absent',0,0,'abcd1234','job',1773118800000,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'3 lists that reach across the moment of the create, or are whole, do not show this one',1773201601558,1,NULL,118,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(10,3,1580515200,1581724800,'submitted',1,1,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20200201',1773122400000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'',1773122400000,1,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(11,3,1583020800,1584230400,'ready',1,1,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20200301',1773122400000,1773126000000,5,'https://api.nexmo.com/v3/media/1',NULL,NULL,NULL,NULL,'',1773126000000,1,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(12,3,1585699200,1586908800,'ready',1,1,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20200401',1773122400000,1773126000000,5,'https://api.nexmo.com/v3/media/1',NULL,NULL,NULL,NULL,'the verified file is not there any more; fetched again',1773201600032,1,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(13,3,1588291200,1589500800,'collected',0,1,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20200501',1773122400000,1773126000000,5,NULL,5,100,'0000000000000000000000000000000000000000000000000000000000000000','report.csv','',1773133200000,1,NULL,NULL,NULL,NULL,13,NULL);
INSERT INTO "report" VALUES(14,3,1590969600,1592179200,'superseded',0,0,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20200601',1773122400000,1773126000000,5,NULL,5,100,'0000000000000000000000000000000000000000000000000000000000000000','report.csv','by report 99',1773136800000,1,NULL,NULL,NULL,NULL,13,13);
INSERT INTO "report" VALUES(15,3,1593561600,1594771200,'absent',0,0,'abcd1234','job',1773118800000,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'HTTP 403 Forbidden',1773122400000,1,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(16,3,1596240000,1597449600,'absent',0,0,'abcd1234','job',1773118800000,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'3 lists that reach across the moment of the create, or are whole, do not show this one',1773201601563,1,NULL,119,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(17,3,1598918400,1600128000,'disputed',0,1,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20200901',1773122400000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'not what was asked for',1773126000000,1,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(18,3,1601510400,1602720000,'waived',0,1,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20201001',1773122400000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'waived by the user',1773129600000,1,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(19,3,1604188800,1605398400,'discarded',0,0,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20201101',1773122400000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'bought again',1773129600000,1,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(20,3,1606780800,1607990400,'truncated',0,0,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20201201',1773122400000,NULL,7000000,NULL,NULL,NULL,NULL,NULL,'the API says TRUNCATED',1773126000000,1,NULL,78,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(21,3,1609459200,1610668800,'failed',0,0,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20210101',1773122400000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'the API says FAILED',1773126000000,1,NULL,81,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(22,3,1612137600,1613347200,'aborted',0,0,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20210201',1773122400000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'the API says ABORTED',1773126000000,1,NULL,84,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(23,3,1614556800,1615766400,'cancelled',0,0,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20210301',1773122400000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'cancelled by the user',1773126000000,1,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(24,3,1617235200,1618444800,'expired',0,0,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20210401',1773122400000,1773126000000,5,NULL,NULL,NULL,NULL,NULL,'404 for the file',1773129600000,1,NULL,91,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(25,3,1619827200,1621036800,'lost',0,0,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20210501',1773122400000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'404 for the id',1773126000000,1,NULL,94,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(26,3,1761955200,1763164800,'failed',0,0,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20251101',1773122400000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'the API says FAILED',1773151200000,1,NULL,97,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(27,3,1759276800,1760486400,'failed',0,0,'abcd1234','job',1773118800000,0,NULL,'id-578ffa-20251001',1773122400000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'the API says FAILED',1773151200000,1,NULL,100,NULL,NULL,NULL,NULL);
INSERT INTO "report" VALUES(28,1,1767225600,1769904000,'collected',0,1,'abcd1234','nightly',1773122400042,-21137042,NULL,'ri3p58f-460f7c9a-2ea3-16cc-ff1c-5a61adb8e2f3',1773122400050,1773122400091,8,NULL,8,2928,'731db0ee66bf41a3fc7a8f3bf65dc88696357593d67132a53ec360ba11f6abd5','report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260101T000000Z_20260201T000000Z_e2.csv','',1773122400122,2,2,NULL,NULL,'{"dropped": ["price"], "hashed": ["to"], "without_type": []}',20,NULL);
INSERT INTO "report" VALUES(29,2,1767225600,1769904000,'collected',0,1,'abcd1234','nightly',1773122400043,-21137042,NULL,'ri3p58f-77dc1c67-7bf7-da31-216f-97d9511fb2bb',1773122400055,1773122400121,11,NULL,11,4172,'c4cf2160221dbc4ee2fb581b505a07835410f5457ccc2d086d161a6b2615101d','report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260101T000000Z_20260201T000000Z_e2.csv','',1773122400127,2,6,NULL,NULL,'{"dropped": [], "hashed": ["to"], "without_type": []}',22,NULL);
CREATE TABLE resolved (
            job          TEXT NOT NULL,
            series_id    INTEGER NOT NULL REFERENCES series (id),
            window_start INTEGER NOT NULL,
            window_end   INTEGER NOT NULL CHECK (window_start < window_end),
            PRIMARY KEY (job, series_id, window_start)
        ) STRICT, WITHOUT ROWID
        ;
INSERT INTO "resolved" VALUES('nightly',1,1772928000,1773100800);
INSERT INTO "resolved" VALUES('nightly',2,1772928000,1773100800);
CREATE TABLE series (
            id         INTEGER PRIMARY KEY,
            key        TEXT NOT NULL UNIQUE,  -- SHA-256 of the canonical body, hex
            account_id TEXT NOT NULL,
            kind       TEXT NOT NULL,         -- SHA-256 of the body without the account, hex
            body       TEXT NOT NULL,         -- the canonical body, JSON
            retried INTEGER NOT NULL DEFAULT 0) STRICT
        ;
INSERT INTO "series" VALUES(1,'89d5f2e45c62a60d1ac36e30ef90a6f272456ceac897c40be7954f5741d69b2f','abcd1234','2eaeb1840cf43d7d1181cdd212fa0d8972e3da76325177103c0104f248b532b1','{"account_id":"abcd1234","include_subaccounts":false,"product":"VERIFY-API"}',0);
INSERT INTO "series" VALUES(2,'bca3707b927cae5410cac03b7da9a25905e12a20e64e9cb1055d76c890d40132','abcd1234','707e64ec31a7507ac096054f03190b5117b103ae95dad25dbaaef4afdbbbc9b4','{"account_id":"abcd1234","direction":"outbound","include_message":false,"include_subaccounts":false,"product":"SMS","show_concatenated":false}',0);
INSERT INTO "series" VALUES(3,'578ffacffdccde0204386e1c7b9b779928c1bbb080ebae72ab35249569bb6eb5','ef567890','4dc1b0d26d87b2ce427ebddda6f41fb79c52418cdc5cf93876c5d95828c71708','{"account_id":"ef567890","direction":"inbound","include_message":false,"include_subaccounts":false,"product":"SMS"}',87);
CREATE INDEX series_account ON series (account_id);
CREATE INDEX series_kind ON series (kind);
CREATE UNIQUE INDEX report_request ON report (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX report_series ON report (series_id, window_start);
CREATE INDEX report_state ON report
        (series_id, state, window_start, window_end, rows, size_bytes)
        ;
CREATE INDEX report_edition ON report (series_id, replaces) WHERE replaces IS NOT NULL;
CREATE INDEX event_report ON event (report_id);
CREATE INDEX given_up_series ON given_up (series_id, window_start);
CREATE INDEX report_open ON report (ready_at, id, series_id) WHERE is_open = 1;
CREATE INDEX report_unknown ON report (series_id)
        WHERE is_open = 1 AND request_id IS NULL
        ;
CREATE INDEX report_had ON report (series_id, window_start, window_end)
        WHERE has_window = 1
        ;
CREATE INDEX report_asked ON report (intended_at + server_ahead);
CREATE INDEX report_failed ON report (series_id, failed) WHERE failed IS NOT NULL;
CREATE INDEX report_collected ON report (collected_change)
        WHERE collected_change IS NOT NULL
        ;
CREATE INDEX report_removed ON report (removed_change)
        WHERE removed_change IS NOT NULL
        ;
COMMIT;
