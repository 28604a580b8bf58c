PRAGMA application_id = 1330791240;
PRAGMA user_version = 3;
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
INSERT INTO "event" VALUES(1,1,1773028800067,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(2,2,1773028800068,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(3,3,1773028800068,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(4,4,1773028800069,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(5,5,1773028800069,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(6,6,1773028800070,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(7,1,1773028800073,'Created','submitting','submitted','{"request_id": "ri3p58f-c4cda6e6-a4c4-dc72-85bc-25859cf986db"}');
INSERT INTO "event" VALUES(8,2,1773028800073,'Created','submitting','submitted','{"request_id": "ri3p58f-00bcb93a-4df4-5942-4a77-0676403cefa7"}');
INSERT INTO "event" VALUES(9,3,1773028800073,'Created','submitting','submitted','{"request_id": "ri3p58f-eb02778f-e261-7c19-0c8e-34937fce2333"}');
INSERT INTO "event" VALUES(10,4,1773028800075,'Created','submitting','submitted','{"request_id": "ri3p58f-62be85a6-b137-e177-0b04-f19d3e6fa620"}');
INSERT INTO "event" VALUES(11,5,1773028800075,'Created','submitting','submitted','{"request_id": "ri3p58f-dc06dfe3-094c-5f96-6a7a-f52a7e2ba079"}');
INSERT INTO "event" VALUES(12,6,1773028800075,'Created','submitting','submitted','{"request_id": "ri3p58f-4ed3230b-32e4-374b-b189-373c76239d43"}');
INSERT INTO "event" VALUES(13,1,1773028800135,'Finished','submitted','ready','{"items_count": 8}');
INSERT INTO "event" VALUES(14,2,1773028800135,'Finished','submitted','ready','{"items_count": 4}');
INSERT INTO "event" VALUES(15,3,1773028800135,'Finished','submitted','ready','{"items_count": 0}');
INSERT INTO "event" VALUES(16,4,1773028800135,'Finished','submitted','ready','{"items_count": 11}');
INSERT INTO "event" VALUES(17,5,1773028800135,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(18,6,1773028800135,'Finished','submitted','ready','{"items_count": 0}');
INSERT INTO "event" VALUES(19,1,1773028800143,'Verified','ready','verified','{"sha256": "346ce2200c82c2239c53db67d34c54bb009c5e258dd642cf0485a6152b0c52a7", "rows": 8, "size_bytes": 2592, "target": "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260101T000000Z_20260201T000000Z.csv"}');
INSERT INTO "event" VALUES(20,2,1773028800145,'Verified','ready','verified','{"sha256": "b99a5e6509b283396cc29448aff70786dca024cd4929e77caca26d97c08e50e0", "rows": 4, "size_bytes": 1448, "target": "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260201T000000Z_20260301T000000Z.csv"}');
INSERT INTO "event" VALUES(21,3,1773028800149,'Verified','ready','verified','{"sha256": "bda492efc6300b59f94e38d563ac6a570b0d65ce92a7a715be2b2ef6bc56d7f8", "rows": 0, "size_bytes": 286, "target": "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260307T000000Z_20260309T000000Z.csv"}');
INSERT INTO "event" VALUES(22,4,1773028800150,'Verified','ready','verified','{"sha256": "7600f3bd5dcbc2a75a7163faf1665b2562959ddce79ded0705f76f106cae1262", "rows": 11, "size_bytes": 3600, "target": "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260101T000000Z_20260201T000000Z.csv"}');
INSERT INTO "event" VALUES(23,1,1773028800153,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(24,2,1773028800153,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(25,5,1773028800153,'Verified','ready','verified','{"sha256": "28eda405b5c59f60f3323fd8d344a0e3753ea901bd4d8158ac0b1809aa08378e", "rows": 5, "size_bytes": 1838, "target": "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260201T000000Z_20260301T000000Z.csv"}');
INSERT INTO "event" VALUES(26,3,1773028800154,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(27,6,1773028800157,'Verified','ready','verified','{"sha256": "b438df2ec119598b853628d389b11f437ec9071613d26a8cf03202ad8902bdfc", "rows": 0, "size_bytes": 357, "target": "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260307T000000Z_20260309T000000Z.csv"}');
INSERT INTO "event" VALUES(28,5,1773028800160,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(29,4,1773028800160,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(30,6,1773028800164,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(31,7,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(32,8,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(33,8,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200201"}');
INSERT INTO "event" VALUES(34,9,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(35,9,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200301"}');
INSERT INTO "event" VALUES(36,9,1773039600000,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(37,10,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(38,10,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200401"}');
INSERT INTO "event" VALUES(39,10,1773039600000,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(40,10,1773043200000,'Verified','ready','verified','{"sha256": "0000000000000000000000000000000000000000000000000000000000000000", "rows": 5, "size_bytes": 100, "target": "report.csv"}');
INSERT INTO "event" VALUES(41,11,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(42,11,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200501"}');
INSERT INTO "event" VALUES(43,11,1773039600000,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(44,11,1773043200000,'Verified','ready','verified','{"sha256": "0000000000000000000000000000000000000000000000000000000000000000", "rows": 5, "size_bytes": 100, "target": "report.csv"}');
INSERT INTO "event" VALUES(45,11,1773046800000,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(46,12,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(47,12,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200601"}');
INSERT INTO "event" VALUES(48,12,1773039600000,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(49,12,1773043200000,'Verified','ready','verified','{"sha256": "0000000000000000000000000000000000000000000000000000000000000000", "rows": 5, "size_bytes": 100, "target": "report.csv"}');
INSERT INTO "event" VALUES(50,12,1773046800000,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(51,12,1773050400000,'Superseded','collected','superseded','{"reason": "by report 99"}');
INSERT INTO "event" VALUES(52,13,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(53,13,1773036000000,'NotCreated','submitting','absent','{"reason": "HTTP 403 Forbidden"}');
INSERT INTO "event" VALUES(54,14,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(55,14,1773036000000,'Held','submitting','held','{"reason": "the list proves nothing"}');
INSERT INTO "event" VALUES(56,15,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(57,15,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20200901"}');
INSERT INTO "event" VALUES(58,15,1773039600000,'Disputed','submitted','disputed','{"reason": "not what was asked for", "cut": false}');
INSERT INTO "event" VALUES(59,16,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(60,16,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20201001"}');
INSERT INTO "event" VALUES(61,16,1773039600000,'Disputed','submitted','disputed','{"reason": "wrong", "cut": false}');
INSERT INTO "event" VALUES(62,16,1773043200000,'Waived','disputed','waived','{"reason": "waived by the user"}');
INSERT INTO "event" VALUES(63,17,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(64,17,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20201101"}');
INSERT INTO "event" VALUES(65,17,1773039600000,'Disputed','submitted','disputed','{"reason": "wrong", "cut": false}');
INSERT INTO "event" VALUES(66,17,1773043200000,'Resubmitted','disputed','discarded','{"reason": "bought again", "proof": "a person said so"}');
INSERT INTO "event" VALUES(67,18,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(68,18,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20201201"}');
INSERT INTO "event" VALUES(69,18,1773039600000,'CutShort','submitted','truncated','{"items_count": 7000000, "reason": "the API says TRUNCATED"}');
INSERT INTO "event" VALUES(70,19,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(71,19,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20210101"}');
INSERT INTO "event" VALUES(72,19,1773039600000,'Failed','submitted','failed','{"reason": "the API says FAILED"}');
INSERT INTO "event" VALUES(73,20,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(74,20,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20210201"}');
INSERT INTO "event" VALUES(75,20,1773039600000,'Aborted','submitted','aborted','{"reason": "the API says ABORTED"}');
INSERT INTO "event" VALUES(76,21,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(77,21,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20210301"}');
INSERT INTO "event" VALUES(78,21,1773039600000,'Cancelled','submitted','cancelled','{"reason": "cancelled by the user"}');
INSERT INTO "event" VALUES(79,22,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(80,22,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20210401"}');
INSERT INTO "event" VALUES(81,22,1773039600000,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(82,22,1773043200000,'FileGone','ready','expired','{"reason": "404 for the file", "proof": "the life of the file is over"}');
INSERT INTO "event" VALUES(83,23,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(84,23,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20210501"}');
INSERT INTO "event" VALUES(85,23,1773039600000,'Lost','submitted','lost','{"reason": "404 for the id", "proof": "the life of the report is over"}');
INSERT INTO "event" VALUES(86,24,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(87,24,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20230101"}');
INSERT INTO "event" VALUES(88,24,1773064800000,'Failed','submitted','failed','{"reason": "the API says FAILED"}');
INSERT INTO "event" VALUES(89,25,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(90,25,1773036000000,'Created','submitting','submitted','{"request_id": "id-578ffa-20230201"}');
INSERT INTO "event" VALUES(91,25,1773064800000,'Failed','submitted','failed','{"reason": "the API says FAILED"}');
INSERT INTO "event" VALUES(92,26,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(93,26,1773036000000,'Created','submitting','submitted','{"request_id": "id-4c39a8-20240101"}');
INSERT INTO "event" VALUES(94,26,1773039600000,'Finished','submitted','ready','{"items_count": 5}');
INSERT INTO "event" VALUES(95,26,1773043200000,'Verified','ready','verified','{"sha256": "1111111111111111111111111111111111111111111111111111111111111111", "rows": 5, "size_bytes": 100, "target": "sub.csv", "foreign": [["aaaa1111", 2], ["bbbb2222", 1]]}');
INSERT INTO "event" VALUES(96,26,1773046800000,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(97,27,1773032400000,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(98,10,1773115200018,'FileMissing','verified','ready','{"reason": "the verified file is not there any more; fetched again"}');
INSERT INTO "event" VALUES(99,7,1773115201516,'Held','submitting','held','{"reason": "the create of 2026-03-09 05:00:00Z may have happened; the API''s lists do not show it, and do not show that they reach across that moment, so they prove nothing; every run looks again; `orchestrator resolve 7 --adopt REQUEST_ID --config /tmp/tmpsrucyd7g/config.yaml` takes the one that you know of, `orchestrator resolve 7 --waive --config /tmp/tmpsrucyd7g/config.yaml` skips its period, `orchestrator resolve 7 --resubmit --config /tmp/tmpsrucyd7g/config.yaml` buys it anew"}');
INSERT INTO "event" VALUES(100,27,1773115201524,'FoundAbsent','submitting','absent','{"reason": "3 lists that reach across the moment of the create, or are whole, do not show this one", "proof": "lists lack it"}');
INSERT INTO "event" VALUES(101,14,1773115201527,'FoundAbsent','held','absent','{"reason": "3 lists that reach across the moment of the create, or are whole, do not show this one", "proof": "lists lack it"}');
INSERT INTO "event" VALUES(102,28,1773201600038,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(103,29,1773201600038,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(104,30,1773201600039,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(105,31,1773201600041,'Intended',NULL,'submitting','{}');
INSERT INTO "event" VALUES(106,28,1773201600047,'Created','submitting','submitted','{"request_id": "ri3p58f-2c9ea2da-5c8f-d409-23b8-3f739b7f3981"}');
INSERT INTO "event" VALUES(107,29,1773201600047,'Created','submitting','submitted','{"request_id": "ri3p58f-67afeb40-dae8-f9e9-681c-d5c3c929dfb3"}');
INSERT INTO "event" VALUES(108,30,1773201600049,'Created','submitting','submitted','{"request_id": "ri3p58f-1a1378e3-b942-1595-de7c-edfb36c30a48"}');
INSERT INTO "event" VALUES(109,31,1773201600050,'Created','submitting','submitted','{"request_id": "ri3p58f-623bb20a-d5ff-887c-88dc-3857ab3f9e7e"}');
INSERT INTO "event" VALUES(110,28,1773201600086,'Finished','submitted','ready','{"items_count": 6}');
INSERT INTO "event" VALUES(111,29,1773201600086,'Finished','submitted','ready','{"items_count": 0}');
INSERT INTO "event" VALUES(112,29,1773201600103,'Verified','ready','verified','{"sha256": "bda492efc6300b59f94e38d563ac6a570b0d65ce92a7a715be2b2ef6bc56d7f8", "rows": 0, "size_bytes": 286, "target": "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260309T000000Z_20260310T000000Z.csv"}');
INSERT INTO "event" VALUES(113,28,1773201600107,'Verified','ready','verified','{"sha256": "e4c6e839c777310ba61722d6bf754b26638b3ae8c80172172aa76710c903deba", "rows": 6, "size_bytes": 2065, "target": "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20251201T000000Z_20260101T000000Z.csv"}');
INSERT INTO "event" VALUES(114,29,1773201600108,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(115,28,1773201600109,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(116,30,1773201600120,'Finished','submitted','ready','{"items_count": 4}');
INSERT INTO "event" VALUES(117,31,1773201600120,'Finished','submitted','ready','{"items_count": 1}');
INSERT INTO "event" VALUES(118,30,1773201600125,'Verified','ready','verified','{"sha256": "c349391b2fe98858d0c1d5f98bf42888d63e23b326c1c8703bb483fd83265e6d", "rows": 4, "size_bytes": 1536, "target": "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20251201T000000Z_20260101T000000Z.csv"}');
INSERT INTO "event" VALUES(119,31,1773201600126,'Verified','ready','verified','{"sha256": "32517fc5fbc1620c2b04f6763f1976b96b08e6398ff296de93dd23d57082532d", "rows": 1, "size_bytes": 639, "target": "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260309T000000Z_20260310T000000Z.csv"}');
INSERT INTO "event" VALUES(120,30,1773201600131,'Published','verified','collected','{}');
INSERT INTO "event" VALUES(121,31,1773201600134,'Published','verified','collected','{}');
CREATE TABLE foreign_rows (
            report_id  INTEGER NOT NULL REFERENCES report (id),
            account_id TEXT NOT NULL,
            rows       INTEGER NOT NULL,
            PRIMARY KEY (report_id, account_id)
        ) STRICT, WITHOUT ROWID
        ;
INSERT INTO "foreign_rows" VALUES(26,'aaaa1111',2);
INSERT INTO "foreign_rows" VALUES(26,'bbbb2222',1);
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
INSERT INTO "given_up" VALUES(1,3,1672531200,1675209600,24,'nine reports came to nothing',1773064800000,0);
INSERT INTO "given_up" VALUES(2,3,1675209600,1677628800,25,'nine reports came to nothing',1773064800000,1);
CREATE TABLE identity (
            id         TEXT NOT NULL,
            generation INTEGER NOT NULL,
            changes    INTEGER NOT NULL
        ) STRICT
        ;
INSERT INTO "identity" VALUES('1f33af7f013187427b7303e4f8ee5722',1,21);
CREATE TABLE mark (
            job       TEXT NOT NULL,
            series_id INTEGER NOT NULL REFERENCES series (id),
            at        INTEGER NOT NULL,
            PRIMARY KEY (job, series_id)
        ) STRICT, WITHOUT ROWID
        ;
INSERT INTO "mark" VALUES('nightly',1,1773100800000);
INSERT INTO "mark" VALUES('nightly',2,1773100800000);
INSERT INTO "mark" VALUES('other',3,1772496000000);
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
        , failed INTEGER) STRICT
        ;
INSERT INTO "report" VALUES(1,1,1767225600,1769904000,'collected',0,1,'abcd1234','nightly',1773028800067,72100937,NULL,'ri3p58f-c4cda6e6-a4c4-dc72-85bc-25859cf986db',1773028800073,1773028800135,8,NULL,8,2592,'346ce2200c82c2239c53db67d34c54bb009c5e258dd642cf0485a6152b0c52a7','report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260101T000000Z_20260201T000000Z.csv','',1773028800153,1,NULL,NULL);
INSERT INTO "report" VALUES(2,1,1769904000,1772323200,'collected',0,1,'abcd1234','nightly',1773028800068,72100937,NULL,'ri3p58f-00bcb93a-4df4-5942-4a77-0676403cefa7',1773028800073,1773028800135,4,NULL,4,1448,'b99a5e6509b283396cc29448aff70786dca024cd4929e77caca26d97c08e50e0','report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260201T000000Z_20260301T000000Z.csv','',1773028800153,1,NULL,NULL);
INSERT INTO "report" VALUES(3,1,1772841600,1773014400,'collected',0,1,'abcd1234','nightly',1773028800068,72100937,NULL,'ri3p58f-eb02778f-e261-7c19-0c8e-34937fce2333',1773028800073,1773028800135,0,NULL,0,286,'bda492efc6300b59f94e38d563ac6a570b0d65ce92a7a715be2b2ef6bc56d7f8','report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260307T000000Z_20260309T000000Z.csv','',1773028800154,1,NULL,NULL);
INSERT INTO "report" VALUES(4,2,1767225600,1769904000,'collected',0,1,'abcd1234','nightly',1773028800069,72100937,NULL,'ri3p58f-62be85a6-b137-e177-0b04-f19d3e6fa620',1773028800075,1773028800135,11,NULL,11,3600,'7600f3bd5dcbc2a75a7163faf1665b2562959ddce79ded0705f76f106cae1262','report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260101T000000Z_20260201T000000Z.csv','',1773028800160,1,NULL,NULL);
INSERT INTO "report" VALUES(5,2,1769904000,1772323200,'collected',0,1,'abcd1234','nightly',1773028800069,72100937,NULL,'ri3p58f-dc06dfe3-094c-5f96-6a7a-f52a7e2ba079',1773028800075,1773028800135,5,NULL,5,1838,'28eda405b5c59f60f3323fd8d344a0e3753ea901bd4d8158ac0b1809aa08378e','report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260201T000000Z_20260301T000000Z.csv','',1773028800160,1,NULL,NULL);
INSERT INTO "report" VALUES(6,2,1772841600,1773014400,'collected',0,1,'abcd1234','nightly',1773028800070,72100937,NULL,'ri3p58f-4ed3230b-32e4-374b-b189-373c76239d43',1773028800075,1773028800135,0,NULL,0,357,'b438df2ec119598b853628d389b11f437ec9071613d26a8cf03202ad8902bdfc','report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260307T000000Z_20260309T000000Z.csv','',1773028800164,1,NULL,NULL);
INSERT INTO "report" VALUES(7,3,1577836800,1579046400,'held',1,1,'abcd1234','job',1773032400000,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'the create of 2026-03-09 05:00:00Z may have happened; the API''s lists do not show it, and do not show that they reach across that moment, so they prove nothing; every run looks again; `orchestrator resolve 7 --adopt REQUEST_ID --config /tmp/tmpsrucyd7g/config.yaml` takes the one that you know of, `orchestrator resolve 7 --waive --config /tmp/tmpsrucyd7g/config.yaml` skips its period, `orchestrator resolve 7 --resubmit --config /tmp/tmpsrucyd7g/config.yaml` buys it anew',1773115201516,1,NULL,NULL);
INSERT INTO "report" VALUES(8,3,1580515200,1581724800,'submitted',1,1,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20200201',1773036000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'',1773036000000,1,NULL,NULL);
INSERT INTO "report" VALUES(9,3,1583020800,1584230400,'ready',1,1,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20200301',1773036000000,1773039600000,5,'https://api.nexmo.com/v3/media/1',NULL,NULL,NULL,NULL,'',1773039600000,1,NULL,NULL);
INSERT INTO "report" VALUES(10,3,1585699200,1586908800,'ready',1,1,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20200401',1773036000000,1773039600000,5,'https://api.nexmo.com/v3/media/1',NULL,NULL,NULL,NULL,'the verified file is not there any more; fetched again',1773115200018,1,NULL,NULL);
INSERT INTO "report" VALUES(11,3,1588291200,1589500800,'collected',0,1,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20200501',1773036000000,1773039600000,5,NULL,5,100,'0000000000000000000000000000000000000000000000000000000000000000','report.csv','',1773046800000,1,NULL,NULL);
INSERT INTO "report" VALUES(12,3,1590969600,1592179200,'superseded',0,0,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20200601',1773036000000,1773039600000,5,NULL,5,100,'0000000000000000000000000000000000000000000000000000000000000000','report.csv','by report 99',1773050400000,1,NULL,NULL);
INSERT INTO "report" VALUES(13,3,1593561600,1594771200,'absent',0,0,'abcd1234','job',1773032400000,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'HTTP 403 Forbidden',1773036000000,1,NULL,NULL);
INSERT INTO "report" VALUES(14,3,1596240000,1597449600,'absent',0,0,'abcd1234','job',1773032400000,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'3 lists that reach across the moment of the create, or are whole, do not show this one',1773115201527,1,NULL,101);
INSERT INTO "report" VALUES(15,3,1598918400,1600128000,'disputed',0,1,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20200901',1773036000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'not what was asked for',1773039600000,1,NULL,NULL);
INSERT INTO "report" VALUES(16,3,1601510400,1602720000,'waived',0,1,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20201001',1773036000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'waived by the user',1773043200000,1,NULL,NULL);
INSERT INTO "report" VALUES(17,3,1604188800,1605398400,'discarded',0,0,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20201101',1773036000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'bought again',1773043200000,1,NULL,NULL);
INSERT INTO "report" VALUES(18,3,1606780800,1607990400,'truncated',0,0,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20201201',1773036000000,NULL,7000000,NULL,NULL,NULL,NULL,NULL,'the API says TRUNCATED',1773039600000,1,NULL,69);
INSERT INTO "report" VALUES(19,3,1609459200,1610668800,'failed',0,0,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20210101',1773036000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'the API says FAILED',1773039600000,1,NULL,72);
INSERT INTO "report" VALUES(20,3,1612137600,1613347200,'aborted',0,0,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20210201',1773036000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'the API says ABORTED',1773039600000,1,NULL,75);
INSERT INTO "report" VALUES(21,3,1614556800,1615766400,'cancelled',0,0,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20210301',1773036000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'cancelled by the user',1773039600000,1,NULL,NULL);
INSERT INTO "report" VALUES(22,3,1617235200,1618444800,'expired',0,0,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20210401',1773036000000,1773039600000,5,NULL,NULL,NULL,NULL,NULL,'404 for the file',1773043200000,1,NULL,82);
INSERT INTO "report" VALUES(23,3,1619827200,1621036800,'lost',0,0,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20210501',1773036000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'404 for the id',1773039600000,1,NULL,85);
INSERT INTO "report" VALUES(24,3,1672531200,1675209600,'failed',0,0,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20230101',1773036000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'the API says FAILED',1773064800000,1,NULL,88);
INSERT INTO "report" VALUES(25,3,1675209600,1677628800,'failed',0,0,'abcd1234','job',1773032400000,0,NULL,'id-578ffa-20230201',1773036000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'the API says FAILED',1773064800000,1,NULL,91);
INSERT INTO "report" VALUES(26,4,1704067200,1706745600,'collected',0,1,'abcd1234','job',1773032400000,0,NULL,'id-4c39a8-20240101',1773036000000,1773039600000,5,NULL,5,100,'1111111111111111111111111111111111111111111111111111111111111111','sub.csv','',1773046800000,1,NULL,NULL);
INSERT INTO "report" VALUES(27,4,1704067200,1706745600,'absent',0,0,'abcd1234','job',1773032400000,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'3 lists that reach across the moment of the create, or are whole, do not show this one',1773115201524,2,26,100);
INSERT INTO "report" VALUES(28,1,1764547200,1767225600,'collected',0,1,'abcd1234','nightly',1773201600038,-96746038,NULL,'ri3p58f-2c9ea2da-5c8f-d409-23b8-3f739b7f3981',1773201600047,1773201600086,6,NULL,6,2065,'e4c6e839c777310ba61722d6bf754b26638b3ae8c80172172aa76710c903deba','report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20251201T000000Z_20260101T000000Z.csv','',1773201600109,1,NULL,NULL);
INSERT INTO "report" VALUES(29,1,1773014400,1773100800,'collected',0,1,'abcd1234','nightly',1773201600038,-96746038,NULL,'ri3p58f-67afeb40-dae8-f9e9-681c-d5c3c929dfb3',1773201600047,1773201600086,0,NULL,0,286,'bda492efc6300b59f94e38d563ac6a570b0d65ce92a7a715be2b2ef6bc56d7f8','report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all/20260309T000000Z_20260310T000000Z.csv','',1773201600108,1,NULL,NULL);
INSERT INTO "report" VALUES(30,2,1764547200,1767225600,'collected',0,1,'abcd1234','nightly',1773201600039,-96746038,NULL,'ri3p58f-1a1378e3-b942-1595-de7c-edfb36c30a48',1773201600049,1773201600120,4,NULL,4,1536,'c349391b2fe98858d0c1d5f98bf42888d63e23b326c1c8703bb483fd83265e6d','report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20251201T000000Z_20260101T000000Z.csv','',1773201600131,1,NULL,NULL);
INSERT INTO "report" VALUES(31,2,1773014400,1773100800,'collected',0,1,'abcd1234','nightly',1773201600041,-96746038,NULL,'ri3p58f-623bb20a-d5ff-887c-88dc-3857ab3f9e7e',1773201600050,1773201600120,1,NULL,1,639,'32517fc5fbc1620c2b04f6763f1976b96b08e6398ff296de93dd23d57082532d','report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/20260309T000000Z_20260310T000000Z.csv','',1773201600134,1,NULL,NULL);
CREATE TABLE resolved (
            job          TEXT NOT NULL,
            series_id    INTEGER NOT NULL REFERENCES series (id),
            window_start INTEGER NOT NULL,
            window_end   INTEGER NOT NULL CHECK (window_start < window_end),
            PRIMARY KEY (job, series_id, window_start)
        ) STRICT, WITHOUT ROWID
        ;
INSERT INTO "resolved" VALUES('nightly',1,1772841600,1773100800);
INSERT INTO "resolved" VALUES('nightly',2,1772841600,1773100800);
INSERT INTO "resolved" VALUES('other',3,1772323200,1772496000);
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
INSERT INTO "series" VALUES(3,'578ffacffdccde0204386e1c7b9b779928c1bbb080ebae72ab35249569bb6eb5','ef567890','4dc1b0d26d87b2ce427ebddda6f41fb79c52418cdc5cf93876c5d95828c71708','{"account_id":"ef567890","direction":"inbound","include_message":false,"include_subaccounts":false,"product":"SMS"}',78);
INSERT INTO "series" VALUES(4,'4c39a879cbcac9487257fe07e2dc76400b9e25de6929c043731091313728f6e6','ef567890','316230f110ed433e5f302b7d5c4569ac780e051e7433a5a5204610d305654d5f','{"account_id":"ef567890","include_subaccounts":true,"product":"VERIFY-API"}',96);
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
COMMIT;
