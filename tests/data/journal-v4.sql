BEGIN TRANSACTION;
CREATE TABLE activations (
        id INTEGER PRIMARY KEY,
        code_masked TEXT NOT NULL,
        at INTEGER NOT NULL,
        outcome TEXT NOT NULL
    ) STRICT
    ;
INSERT INTO "activations" VALUES(1,'…',1714536000000,'refused: E1');
INSERT INTO "activations" VALUES(2,'1234…7890',1714536000000,'activated');
CREATE TABLE attempts (
        number INTEGER PRIMARY KEY,
        client_sn TEXT NOT NULL UNIQUE,
        sale_id TEXT NOT NULL REFERENCES sales (id),
        is_open INTEGER NOT NULL,
        needs_attention INTEGER NOT NULL,
        started INTEGER NOT NULL,
        sn TEXT NOT NULL,
        snapshot TEXT NOT NULL
    ) STRICT
    ;
INSERT INTO "attempts" VALUES(1,'t-0003','01J00000001001000000000001',0,0,1001,'','{"client_sn":"t-0003","sale_id":"01J00000001001000000000001","kind":"scan","amount":350,"operator":"kiosk","code_masked":"1308…1147","code_digest":"5752024864a8b51a3badd8acaebf1c16","state":"declined","token":1,"facts":{"sn":"","trade_no":"","payway":"","finish_time":"","net_amount":null,"client_tsn":""},"fault":{"code":"E","message":"余额不足"},"started":1001,"started_at":1714536000000,"ended_at":1714536000000,"window_ends":51001,"retry":null,"tries":0,"is_unanswered":false,"undoing_since":null,"looks":[],"attention":null,"qr_content":"","attention_closed":[],"is_yielding":false}');
INSERT INTO "attempts" VALUES(2,'t-0006','01J00000001001000000000001',0,0,1001,'7894259244067344','{"client_sn":"t-0006","sale_id":"01J00000001001000000000001","kind":"scan","amount":350,"operator":"kiosk","code_masked":"1308…1147","code_digest":"5752024864a8b51a3badd8acaebf1c16","state":"paid","token":1,"facts":{"sn":"7894259244067344","trade_no":"2024","payway":"3","finish_time":"","net_amount":350,"client_tsn":""},"fault":null,"started":1001,"started_at":1714536000000,"ended_at":1714536000000,"window_ends":51001,"retry":null,"tries":0,"is_unanswered":false,"undoing_since":null,"looks":[],"attention":null,"qr_content":"","attention_closed":[],"is_yielding":false}');
INSERT INTO "attempts" VALUES(3,'t-0014','01J-vend',0,0,1001,'','{"client_sn":"t-0014","sale_id":"01J-vend","kind":"scan","amount":350,"operator":"kiosk","code_masked":"1308…1147","code_digest":"5752024864a8b51a3badd8acaebf1c16","state":"paid","token":1,"facts":{"sn":"","trade_no":"","payway":"","finish_time":"","net_amount":null,"client_tsn":""},"fault":null,"started":1001,"started_at":1714536000000,"ended_at":1714536000000,"window_ends":51001,"retry":null,"tries":0,"is_unanswered":false,"undoing_since":null,"looks":[],"attention":null,"qr_content":"","attention_closed":[],"is_yielding":false}');
INSERT INTO "attempts" VALUES(4,'t-0022','01J00000001001000000000020',1,1,1001,'','{"client_sn":"t-0022","sale_id":"01J00000001001000000000020","kind":"scan","amount":350,"operator":"kiosk","code_masked":"1308…1147","code_digest":"5752024864a8b51a3badd8acaebf1c16","state":"polling","token":2,"facts":{"sn":"","trade_no":"","payway":"","finish_time":"","net_amount":null,"client_tsn":""},"fault":null,"started":1001,"started_at":1714536000000,"ended_at":null,"window_ends":51001,"retry":null,"tries":0,"is_unanswered":false,"undoing_since":null,"looks":[],"attention":{"code":"answer_mismatch","since":1001},"qr_content":"","attention_closed":[],"is_yielding":false}');
CREATE TABLE boots (
        number INTEGER PRIMARY KEY,
        boot_id TEXT NOT NULL,
        offset_ms INTEGER NOT NULL,
        opened_at INTEGER NOT NULL
    ) STRICT
    ;
INSERT INTO "boots" VALUES(1,'boot-1',-998999,1);
CREATE TABLE custody (
        row INTEGER PRIMARY KEY CHECK (row = 1),
        terminal_sn TEXT NOT NULL,
        snapshot TEXT NOT NULL
    ) STRICT
    ;
INSERT INTO "custody" VALUES(1,'T1','{"state":"unproven","token":1,"version":1,"previous_version":0,"rotated":1000000,"is_rotated_at_trusted":false,"asked":null,"unanswered":0,"proven":null,"due":87400000,"not_before":1000000,"retry":null,"tries":0,"attention":null,"fault":null,"power_back":null,"asked_at":null,"asked_before":null,"asked_before_at":null,"unsent":0,"previous_rotated":null,"refused_since":null,"refusals":0,"out_since":null,"was_out":false,"outages":[]}');
CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        wall INTEGER NOT NULL,
        topic TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        sale_id TEXT NOT NULL,
        cause TEXT NOT NULL,
        state_before TEXT NOT NULL,
        state_after TEXT NOT NULL,
        body BLOB NOT NULL
    ) STRICT
    ;
INSERT INTO "events" VALUES(1,1001,1714536000000,'sale','sale','01J00000001001000000000001','01J00000001001000000000001','SaleOpened','','awaiting_payment',X'6177616974696E675F7061796D656E74');
INSERT INTO "events" VALUES(2,1001,1714536000000,'sale','sale','01J00000001001000000000001','01J00000001001000000000001','CodeScanned','awaiting_payment','processing',X'70726F63657373696E67');
INSERT INTO "events" VALUES(3,1001,1714536000000,'','attempt','t-0003','01J00000001001000000000001','AttemptOpened','','submitting',X'7375626D697474696E67');
INSERT INTO "events" VALUES(4,1001,1714536000000,'','attempt','t-0003','01J00000001001000000000001','PayDeclined','submitting','declined',X'6465636C696E6564');
INSERT INTO "events" VALUES(5,1001,1714536000000,'sale','sale','01J00000001001000000000001','01J00000001001000000000001','AttemptUnpaid','processing','awaiting_payment',X'6177616974696E675F7061796D656E74');
INSERT INTO "events" VALUES(6,1001,1714536000000,'sale','sale','01J00000001001000000000001','01J00000001001000000000001','CodeScanned','awaiting_payment','processing',X'70726F63657373696E67');
INSERT INTO "events" VALUES(7,1001,1714536000000,'','attempt','t-0006','01J00000001001000000000001','AttemptOpened','','submitting',X'7375626D697474696E67');
INSERT INTO "events" VALUES(8,1001,1714536000000,'','attempt','t-0006','01J00000001001000000000001','PayConfirmed','submitting','paid',X'70616964');
INSERT INTO "events" VALUES(9,1001,1714536000000,'sale','sale','01J00000001001000000000001','01J00000001001000000000001','AttemptPaid','processing','paid',X'70616964');
INSERT INTO "events" VALUES(10,1001,1714536000000,'print','print','01J00000001001000000000001-1','01J00000001001000000000001','JobEnqueued','','queued',X'717565756564');
INSERT INTO "events" VALUES(11,1001,1714536000000,'sale','sale','01J00000001001000000000001','01J00000001001000000000001','DeliveryWaived','paid','completed',X'636F6D706C65746564');
INSERT INTO "events" VALUES(12,1001,1714536000000,'print','print','01J00000001001000000000001-1','01J00000001001000000000001','SendDue','queued','printing',X'7072696E74696E67');
INSERT INTO "events" VALUES(13,1001,1714536000000,'print','print','01J00000001001000000000001-1','01J00000001001000000000001','JobSent','printing','unverified',X'756E7665726966696564');
INSERT INTO "events" VALUES(14,1001,1714536000000,'refund','refund','01J00000001001000000000001-r1','01J00000001001000000000001','RefundOpened','','requested',X'726571756573746564');
INSERT INTO "events" VALUES(15,1001,1714536000000,'sale','sale','01J00000001001000000000001','01J00000001001000000000001','RefundBegun','completed','completed',X'636F6D706C65746564');
INSERT INTO "events" VALUES(16,1001,1714536000000,'refund','refund','01J00000001001000000000001-r1','01J00000001001000000000001','RefundTurn','requested','refunding',X'726566756E64696E67');
INSERT INTO "events" VALUES(17,1001,1714536000000,'refund','refund','01J00000001001000000000001-r1','01J00000001001000000000001','RefundConfirmed','refunding','done',X'646F6E65');
INSERT INTO "events" VALUES(18,1001,1714536000000,'sale','sale','01J00000001001000000000001','01J00000001001000000000001','RefundDone','completed','completed',X'636F6D706C65746564');
INSERT INTO "events" VALUES(19,1001,1714536000000,'print','print','01J00000001001000000000001-2','01J00000001001000000000001','JobEnqueued','','queued',X'717565756564');
INSERT INTO "events" VALUES(20,1001,1714536000000,'sale','sale','01J-vend','01J-vend','SaleOpened','','awaiting_payment',X'6177616974696E675F7061796D656E74');
INSERT INTO "events" VALUES(21,1001,1714536000000,'vend','vend','01J-vend','01J-vend','VendRequested','','requested',X'726571756573746564');
INSERT INTO "events" VALUES(22,1001,1714536000000,'sale','sale','01J-vend','01J-vend','CodeScanned','awaiting_payment','processing',X'70726F63657373696E67');
INSERT INTO "events" VALUES(23,1001,1714536000000,'','attempt','t-0014','01J-vend','AttemptOpened','','submitting',X'7375626D697474696E67');
INSERT INTO "events" VALUES(24,1001,1714536000000,'vend','vend','01J-vend','01J-vend','SalePaying','requested','paying',X'706179696E67');
INSERT INTO "events" VALUES(25,1001,1714536000000,'','attempt','t-0014','01J-vend','PayConfirmed','submitting','paid',X'70616964');
INSERT INTO "events" VALUES(26,1001,1714536000000,'sale','sale','01J-vend','01J-vend','AttemptPaid','processing','paid',X'70616964');
INSERT INTO "events" VALUES(27,1001,1714536000000,'vend','vend','01J-vend','01J-vend','SalePaid','paying','paid',X'70616964');
INSERT INTO "events" VALUES(28,1001,1714536000000,'vend','vend','01J-vend','01J-vend','ApprovalDue','paid','approving',X'617070726F76696E67');
INSERT INTO "events" VALUES(29,1001,1714536000000,'vend','vend','01J-vend','01J-vend','ApprovalSent','approving','approved',X'617070726F766564');
INSERT INTO "events" VALUES(30,1001,1714536000000,'vend','vend','01J-vend','01J-vend','ResultOverdue','approved','unknown',X'756E6B6E6F776E');
INSERT INTO "events" VALUES(31,1001,1714536000000,'sale','sale','01J-vend','01J-vend','DeliveryOverdue','paid','paid',X'70616964');
INSERT INTO "events" VALUES(32,1001,1714536000000,'sale','sale','01J00000001001000000000020','01J00000001001000000000020','SaleOpened','','awaiting_payment',X'6177616974696E675F7061796D656E74');
INSERT INTO "events" VALUES(33,1001,1714536000000,'sale','sale','01J00000001001000000000020','01J00000001001000000000020','CodeScanned','awaiting_payment','processing',X'70726F63657373696E67');
INSERT INTO "events" VALUES(34,1001,1714536000000,'','attempt','t-0022','01J00000001001000000000020','AttemptOpened','','submitting',X'7375626D697474696E67');
INSERT INTO "events" VALUES(35,1001,1714536000000,'','attempt','t-0022','01J00000001001000000000020','AnswerMismatched','submitting','polling',X'706F6C6C696E67');
CREATE TABLE jobs (
        number INTEGER PRIMARY KEY,
        sale_id TEXT NOT NULL REFERENCES sales (id),
        id TEXT NOT NULL,
        is_open INTEGER NOT NULL,
        snapshot TEXT NOT NULL,
        UNIQUE (sale_id, id)
    ) STRICT
    ;
INSERT INTO "jobs" VALUES(1,'01J00000001001000000000001','01J00000001001000000000001-1',0,'{"id":"01J00000001001000000000001-1","sale_id":"01J00000001001000000000001","is_copy":false,"state":"unverified","token":1,"evidence":"every byte was taken","tries":0,"retry":null,"expires":121001,"created_at":1714536000000,"slip":"receipt","about":"","blocked_by":null}');
INSERT INTO "jobs" VALUES(2,'01J00000001001000000000001','01J00000001001000000000001-2',1,'{"id":"01J00000001001000000000001-2","sale_id":"01J00000001001000000000001","is_copy":false,"state":"queued","token":0,"evidence":"","tries":0,"retry":1001,"expires":121001,"created_at":1714536000000,"slip":"refund","about":"01J00000001001000000000001-r1","blocked_by":null}');
CREATE TABLE refunds (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        sale_id TEXT NOT NULL REFERENCES sales (id),
        is_open INTEGER NOT NULL,
        needs_attention INTEGER NOT NULL,
        opened INTEGER NOT NULL,
        snapshot TEXT NOT NULL
    ) STRICT
    ;
INSERT INTO "refunds" VALUES(1,'01J00000001001000000000001-r1','01J00000001001000000000001',0,0,1001,'{"id":"01J00000001001000000000001-r1","sale_id":"01J00000001001000000000001","client_sn":"t-0006","order_amount":350,"reference":"back","kind":"refund","amount":100,"left":350,"request_no":"r1","operator":"kiosk","is_owed":false,"state":"done","token":1,"fault":null,"refusal":"","opened":1001,"opened_at":1714536000000,"ended_at":1714536000000,"retry":null,"tries":0,"attention":null,"attention_closed":[],"unclear":null,"revoke_until":null}');
CREATE TABLE sales (
        id TEXT PRIMARY KEY NOT NULL,
        reference TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        is_open INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        snapshot TEXT NOT NULL
    , needs_attention INTEGER NOT NULL DEFAULT 0) STRICT
    ;
INSERT INTO "sales" VALUES('01J00000001001000000000001','order-1','completed',0,1714536000000,'{"id":"01J00000001001000000000001","order":{"reference":"order-1","amount":350,"methods":["scan"],"text":{"subject":"Cola","operator":"kiosk","payway":"","description":"","reflect":"","goods":[{"id":"1","name":"可乐","quantity":1,"price":350,"promotion":false}]},"wants_receipt":true,"qr_payway":"","prints_refunds":true,"reports_delivery":false,"is_vend":false,"window":null},"state":"completed","attempts":["t-0003","t-0006"],"paid":350,"reason":"","window_ends":91001,"created_at":1714536000000,"updated_at":1714536000000,"closed_at":1714536000000,"offer":null,"offers":0,"offer_at":null,"waits_for":[],"returned":100,"whole":null,"delivery":"none","delivery_ends":null,"attention":null,"is_return_owed":false,"part_owed":null}',0);
INSERT INTO "sales" VALUES('01J-vend','vend-1','paid',1,1714536000000,'{"id":"01J-vend","order":{"reference":"vend-1","amount":350,"methods":["scan"],"text":{"subject":"snacks 5","operator":"kiosk","payway":"","description":"","reflect":"","goods":[]},"wants_receipt":false,"qr_payway":"","prints_refunds":true,"reports_delivery":true,"is_vend":true,"window":60000},"state":"paid","attempts":["t-0014"],"paid":350,"reason":"","window_ends":61001,"created_at":1714536000000,"updated_at":1714536000000,"closed_at":null,"offer":null,"offers":0,"offer_at":null,"waits_for":[],"returned":0,"whole":null,"delivery":"overdue","delivery_ends":null,"attention":{"code":"delivery_overdue","since":1001},"is_return_owed":false,"part_owed":null}',1);
INSERT INTO "sales" VALUES('01J00000001001000000000020','order-20','processing',1,1714536000000,'{"id":"01J00000001001000000000020","order":{"reference":"order-20","amount":350,"methods":["scan"],"text":{"subject":"Cola","operator":"kiosk","payway":"","description":"","reflect":"","goods":[]},"wants_receipt":true,"qr_payway":"","prints_refunds":true,"reports_delivery":false,"is_vend":false,"window":null},"state":"processing","attempts":["t-0022"],"paid":0,"reason":"","window_ends":91001,"created_at":1714536000000,"updated_at":1714536000000,"closed_at":null,"offer":null,"offers":0,"offer_at":null,"waits_for":[],"returned":0,"whole":null,"delivery":"none","delivery_ends":null,"attention":null,"is_return_owed":false,"part_owed":null}',0);
CREATE TABLE settings (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT;
INSERT INTO "settings" VALUES('salt','000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');
INSERT INTO "settings" VALUES('device_id','board-1');
INSERT INTO "settings" VALUES('time_floor','{"instant":1001,"wall":1714536000000}');
CREATE TABLE terminal (
        row INTEGER PRIMARY KEY CHECK (row = 1),
        terminal_sn TEXT NOT NULL,
        device_id TEXT NOT NULL,
        current_key TEXT NOT NULL,
        previous_key TEXT,
        activated_at INTEGER NOT NULL,
        rotated_at INTEGER NOT NULL
    ) STRICT
    ;
INSERT INTO "terminal" VALUES(1,'T1','board-1','key-2','key-1',1714536000000,1714536600000);
CREATE TABLE vends (
        sale_id TEXT PRIMARY KEY NOT NULL REFERENCES sales (id),
        machine TEXT NOT NULL,
        is_open INTEGER NOT NULL,
        snapshot TEXT NOT NULL
    ) STRICT
    ;
INSERT INTO "vends" VALUES('01J-vend','snacks',0,'{"sale_id":"01J-vend","machine":"snacks","item":"5","price":"3.50","state":"unknown","request":1,"answer_by":106001,"result_window":180000,"returns_unknown":false,"opened_at":1714536000000,"ended_at":1714536000000,"due":null,"is_doubted":false}');
CREATE INDEX sales_open ON sales (id) WHERE is_open;
CREATE INDEX sales_created ON sales (created_at);
CREATE INDEX attempts_open ON attempts (sale_id) WHERE is_open;
CREATE INDEX attempts_attention ON attempts (sale_id) WHERE needs_attention;
CREATE INDEX attempts_sn ON attempts (sn) WHERE sn <> '';
CREATE INDEX jobs_open ON jobs (sale_id) WHERE is_open;
CREATE INDEX refunds_sale ON refunds (sale_id);
CREATE INDEX refunds_open ON refunds (sale_id) WHERE is_open;
CREATE INDEX refunds_attention ON refunds (sale_id) WHERE needs_attention;
CREATE INDEX sales_attention ON sales (id) WHERE needs_attention;
CREATE INDEX vends_open ON vends (sale_id) WHERE is_open;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',35);
COMMIT;
PRAGMA user_version=4;
