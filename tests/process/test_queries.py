"""Window joins, books, bars of a zone and aggregates over expressions, as a user asks for them, hot and cold."""

import unittest

from proxist_process import CommandFailed, Directory, Server

TABLES = """\
kind: Table
name: quotes
series: [venue]
columns:
  - {name: venue, type: symbol}
  - {name: bid, type: decimal(2), nullable: true}
  - {name: ask, type: decimal(2), nullable: true}
seq: producer
hot: {retain: 24h}
---
kind: Table
name: trades
columns:
  - {name: price, type: decimal(2)}
  - {name: size, type: int64}
seq: producer
hot: {retain: 24h}
---
kind: Table
name: levels
columns:
  - {name: side, type: symbol}
  - {name: price, type: decimal(2)}
  - {name: size, type: int64}
seq: producer
hot: {retain: 24h}
"""

MAPS = {
    "quotes": "  venue: {column: 3}\n  bid: {column: 4}\n  ask: {column: 5}\n",
    "trades": "  price: {column: 3}\n  size: {column: 4}\n",
    "levels": "  side: {column: 3}\n  price: {column: 4}\n  size: {column: 5}\n",
}
ROWS = {
    "quotes": "S,100,P,1.00,1.10\nS,200,Q,1.20,1.30\nS,300,P,1.40,1.60\n",
    "trades": "S,150,1.05,10\nS,300,1.50,30\nS,310,1.55,20\n",
    "levels": "S,100,B,1.00,5\nS,110,B,0.90,7\nS,120,A,1.10,4\nS,130,B,1.00,0\n",
}

ORDERS = "symbol,ts,id,note,worth\nS,310,7,late,2.5\nS,100,8,,\nT,5,9,none,0\n"

QUESTIONS = [
    (["window-join", "--left", "trades", "--right", "quotes", "--columns", "price", "--before", "60ns", "--after", "0ns",
      "--prevailing", "--aggregates", "count,last((bid + ask) / 2) as mid"],
     ["symbol,ts,seq,price,count,mid", "S,150,1,1.05,1,1.05", "S,300,2,1.50,2,1.5", "S,310,3,1.55,2,1.5"]),
    (["aggregate", "trades", "--aggregates", "sum(price * size) / sum(size) as mine,vwap,max(price)-min(price) as range"],
     ["symbol,mine,vwap,range", "S,1.4416666666666667,1.4416666666666667,0.50"]),
    (["bars", "trades", "--interval", "100ns", "--origin", "50", "--fill", "previous", "--aggregates", "close,count,median"],
     ["symbol,ts,close,count,median", "S,150,1.05,1,1.05", "S,250,1.55,2,1.525"]),
    (["bars", "trades", "--interval", "100ns", "--symbols", "S"],
     ["symbol,ts,open,high,low,close,volume,count,vwap", "S,100,1.05,1.05,1.05,1.05,10,1,1.05",
      "S,300,1.50,1.55,1.50,1.55,50,2,1.52"]),
    (["bars", "trades", "--interval", "1d", "--zone", "America/New_York", "--aggregates", "volume"],
     ["symbol,ts,volume", "S,-68400000000000,60"]),
    (["rolling", "trades", "--window", "3rows", "--centred", "--columns", "price", "--aggregates", "mean(price),distinct(size)"],
     ["symbol,ts,seq,price,mean(price),distinct(size)", "S,150,1,1.05,1.275,2",
      "S,300,2,1.50,1.3666666666666667,3", "S,310,3,1.55,1.525,2"]),
    (["rolling", "trades", "--columns", "size", "--aggregates", "ema(price, 0.5)"],
     ['symbol,ts,seq,size,"ema(price,0.5)"', "S,150,1,10,1.05", "S,300,2,30,1.275", "S,310,3,20,1.4125"]),
    (["book", "levels"], ["symbol,side,level,price,size,orders", "S,B,1,0.90,7,1", "S,A,1,1.10,4,1"]),
    (["book", "levels", "--at", "125", "--depth", "1"],
     ["symbol,side,level,price,size,orders", "S,B,1,1.00,5,1", "S,A,1,1.10,4,1"]),
    (["range", "quotes", "--where", "(ask - bid) * 100 > 10", "--columns", "venue"], ["symbol,ts,seq,venue", "S,300,3,P"]),
    (["range", "quotes", "--columns", "(bid + ask) / 2 as mid, ask - bid as spread", "--order", "spread desc, ts desc",
      "--limit", "2"], ["symbol,ts,seq,mid,spread", "S,300,3,1.5,0.20", "S,200,2,1.25,0.10"]),
    (["range", "quotes", "--distinct", "--columns", "venue,ask - bid as spread"],
     ["symbol,venue,spread", "S,P,0.10", "S,Q,0.10", "S,P,0.20"]),
    (["asof", "--left", "trades", "--right", "quotes", "--columns", "price", "--right-columns", "bid",
      "--join", "levels columns price, size where side = 'A' direction nearest tolerance 40ns prefix ask_",
      "--join", "quotes columns ask direction forward strict prefix next_"],
     ["symbol,ts,seq,price,bid,quotes_ts,ask_price,ask_size,ask_ts,next_ask,next_ts",
      "S,150,1,1.05,1.00,100,1.10,4,120,1.30,200", "S,300,2,1.50,1.40,300,,,,,", "S,310,3,1.55,1.40,300,,,,,"]),
    (["asof", "--left", "trades", "--right", "quotes", "--columns", "price", "--right-columns", "bid", "--show-time",
      "right"], ["symbol,ts,seq,price,bid", "S,100,1,1.05,1.00", "S,300,2,1.50,1.40", "S,300,3,1.55,1.40"]),
    (["asof", "--left", "@{orders}", "--right", "quotes", "--right-columns", "bid", "--show-time", "left", "--order", "seq"],
     ["symbol,ts,seq,id,note,worth,bid", "S,310,1,7,late,2.5,1.40", "S,100,2,8,,,1.00", "T,5,3,9,none,0,"]),
    (["window-join", "--left", "@{orders}", "--right", "trades", "--columns", "id", "--before", "200ns", "--aggregates", "count"],
     ["symbol,ts,seq,id,count", "S,100,2,8,0", "S,310,1,7,3", "T,5,3,9,0"]),
    (["aggregate", "(asof --left trades --right quotes --columns price --right-columns \"bid, ask\")", "--aggregates",
      "count,max(price * 2 - bid - ask) as worst"], ["symbol,count,worst", "S,3,0.10"]),
    (["rolling", "(range trades --where \"size > 10\")", "--window", "2rows", "--columns", "price", "--aggregates", "sum(size)"],
     ["symbol,ts,seq,price,sum(size)", "S,300,2,1.50,30", "S,310,3,1.55,50"]),
]


class Queries(unittest.TestCase):
    def test_answers_are_the_same_hot_and_cold(self):
        directory = Directory()
        server = Server(directory).start()
        self.addCleanup(directory.remove)
        self.addCleanup(server.end)
        server.pxctl("apply", "-f", directory.file("tables.yaml", TABLES))
        for table, columns in MAPS.items():
            mapping = f"map: {table}\ncolumns:\n  symbol: {{column: 1}}\n  ts: {{column: 2, unit: ns}}\n  seq: {{line: true}}\n"
            server.pxctl("import", table, "--file", directory.file(f"{table}.csv", ROWS[table]),
                         "--map", directory.file(f"{table}.map.yaml", mapping + columns))
        self.orders = directory.file("orders.csv", ORDERS)
        self.ask_all(server)
        server.pxctl("flush", "--wait")
        for table in MAPS:
            server.pxctl("evict", table, "--before", "201")
        self.ask_all(server)
        for table in MAPS:
            server.pxctl("evict", table, "--before", "1000")
        self.ask_all(server)
        with self.assertRaises(CommandFailed) as refused:
            server.pxctl("query", "aggregate", "trades", "--aggregates", "sum(prize)")
        self.assertIn("at character 5: there is no column 'prize'", str(refused.exception))

    def ask_all(self, server):
        for question, expected in QUESTIONS:
            question = [word.replace("{orders}", str(self.orders)) for word in question]
            answer = server.pxctl("query", *question, "--output", "csv", "--time", "ns")
            self.assertEqual(answer.splitlines(), expected, question)


if __name__ == "__main__":
    unittest.main()
