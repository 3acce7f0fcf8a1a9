"""The first sentinel in the URL was cut off from the others and still names the old primary (now a replica, READONLY); the second names the new one. The hub must come to the new one."""

import asyncio
import socketserver
import threading
import time

from hub.clock import SystemClock
from hub.stores import open_store
from hub.testing.stores import samples as S
from tests.cases.scene import redis_server, verdict


def sentinel(answer):
    class H(socketserver.StreamRequestHandler):
        def handle(self):
            while True:
                line = self.rfile.readline()
                if not line:
                    return
                n = int(line[1:])
                args = []
                for _ in range(n):
                    k = int(self.rfile.readline()[1:])
                    args.append(self.rfile.read(k))
                    self.rfile.read(2)
                if args[0].upper() == b"SENTINEL":
                    h, p = answer()
                    self.wfile.write(b"*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(h), h, len(str(p)), str(p).encode()))
                else:
                    self.wfile.write(b"+OK\r\n")
                self.wfile.flush()

    class T(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    s = T(("127.0.0.1", 0), H)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return s.server_address[1]


async def main():
    import redis

    with redis_server() as (_u1, old), redis_server() as (_u2, new):
        told = {"stale": old, "fresh": old}
        a, b = sentinel(lambda: (b"127.0.0.1", told["stale"])), sentinel(lambda: (b"127.0.0.1", told["fresh"]))
        c = SystemClock()
        async with open_store(f"redis+sentinel://127.0.0.1:{a},127.0.0.1:{b}/x", c) as A:
            await S.publish(A, "sub_1", accepted_at=c.now(), time=c.now())
            R1, R2 = redis.Redis(port=old), redis.Redis(port=new)
            R2.replicaof("127.0.0.1", old)
            time.sleep(1.5)
            R2.replicaof("NO", "ONE")
            R1.replicaof("127.0.0.1", new)
            told["fresh"] = new
            time.sleep(1)
            t, res = time.time(), []
            for _ in range(3):
                try:
                    await S.publish(A, "sub_1", accepted_at=c.now(), time=c.now())
                    res.append("accepted")
                except Exception as e:
                    res.append(type(e).__name__)
            verdict(
                "c39",
                "accepted" in res,
                f"failover done, sentinel 2 of 2 names the new primary, sentinel 1 still the old: publishes for {time.time() - t:.0f} s: {res}",
            )


asyncio.run(main())
