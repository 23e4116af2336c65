"""A file of each layout, written by hand after its public description: two minutes, or one day, of one share.

Belongs here: files and the key of the share that each is of. Does not belong here: what is read of them.
"""

from __future__ import annotations

import json

ROWS = [[100, 101, 99.5, 100.5, 7533], [100.5, 101, 100, 100.1, 4790]]
ISO = ["2025-06-02T09:15:00+05:30", "2025-06-02T09:16:00+05:30"]
_KITE = [text.replace("+05:30", "+0530") for text in ISO]
EPOCHS = [1748835900, 1748835960]


def rows_at(moments_of: list, *more: object) -> list[list]:
    return [[moment, *row, *more] for moment, row in zip(moments_of, ROWS, strict=True)]


def lines(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


FILES = {
    "Upstox response": (
        "NSE_EQ%7CINE002A01018_2025-06.json",
        json.dumps({"status": "success", "data": {"candles": rows_at(ISO, 0)}}),
        "NSE_EQ|INE002A01018",
    ),
    "Zerodha Kite": (
        "INFY_minute.json",
        json.dumps({"status": "success", "data": {"candles": rows_at(_KITE)}}),
        "NSE_EQ|INFY",
    ),
    "Zerodha Kite, with open interest": (
        "INFY_minute.json",
        json.dumps({"status": "success", "data": {"candles": rows_at(_KITE, 0)}}),
        "NSE_EQ|INFY",
    ),
    "Zerodha Kite, CSV with an index": (
        "INFY.csv",
        lines(
            ",date,open,high,low,close,volume",
            "0,2025-06-02 09:15:00+05:30,100,101,99.5,100.5,7533",
            "1,2025-06-02 09:16:00+05:30,100.5,101,100,100.1,4790",
        ),
        "NSE_EQ|INFY",
    ),
    "Angel One": (
        "SBIN-EQ_ONE_MINUTE.json",
        json.dumps({"status": True, "message": "SUCCESS", "errorcode": "", "data": rows_at(ISO)}),
        "NSE_EQ|SBIN",
    ),
    "Fyers": (
        "NSE_SBIN-EQ.json",
        json.dumps({"s": "ok", "candles": rows_at(EPOCHS)}),
        "NSE_EQ|SBIN",
    ),
    "Dhan": (
        "HDFCBANK.json",
        json.dumps(
            {
                name: [row[place] for row in ROWS]
                for place, name in enumerate(["open", "high", "low", "close", "volume"])
            }
            | {"timestamp": EPOCHS}
        ),
        "NSE_EQ|HDFCBANK",
    ),
    "ICICI Breeze": (
        "breeze.json",
        json.dumps(
            {
                "Success": [
                    {
                        "datetime": moment,
                        "stock_code": "ITC",
                        "exchange_code": "NSE",
                        "open": str(row[0]),
                        "high": str(row[1]),
                        "low": str(row[2]),
                        "close": str(row[3]),
                        "volume": str(row[4]),
                        "open_interest": None,
                        "count": 0,
                        "product_type": None,
                        "expiry_date": None,
                        "right": None,
                        "strike_price": None,
                    }
                    for moment, row in zip(
                        ["2025-06-02 09:15:00", "2025-06-02 09:16:00"], ROWS, strict=True
                    )
                ],
                "Status": 200,
                "Error": None,
            }
        ),
        "NSE_EQ|ITC",
    ),
    "AmiBroker": (
        "quotes.txt",
        lines(
            "<TICKER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
            "ITC,20250602,091500,100,101,99.5,100.5,7533",
            "ITC,20250602,091600,100.5,101,100,100.1,4790",
        ),
        "NSE_EQ|ITC",
    ),
    "AmiBroker, exported": (
        "export.csv",
        lines(
            "Ticker,Date/Time,Open,High,Low,Close,Volume",
            "ITC,2025-06-02 09:15:00,100,101,99.5,100.5,7533",
            "ITC,2025-06-02 09:16:00,100.5,101,100,100.1,4790",
        ),
        "NSE_EQ|ITC",
    ),
    "TradingView": (
        "NSE_RELIANCE, 1.csv",
        lines(
            "time,open,high,low,close,Volume,Plot,Plot",
            "1748835900,100,101,99.5,100.5,7533,1,2",
            "1748835960,100.5,101,100,100.1,4790,1,2",
        ),
        "NSE_EQ|RELIANCE",
    ),
    "TradingView, of BSE": (
        "BSE_RELIANCE, 1.csv",
        lines(
            "time,open,high,low,close,Volume",
            "2025-06-02T09:15:00+05:30,100,101,99.5,100.5,7533",
            "2025-06-02T09:16:00+05:30,100.5,101,100,100.1,4790",
        ),
        "BSE_EQ|RELIANCE",
    ),
    "MetaTrader": (
        "RELIANCE_M1_202506020915_202506020916.csv",
        lines(
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
            "2025.06.02\t09:15:00\t100\t101\t99.5\t100.5\t12\t7533\t1",
            "2025.06.02\t09:16:00\t100.5\t101\t100\t100.1\t13\t4790\t1",
        ),
        "NSE_EQ|RELIANCE",
    ),
    "yfinance, intraday": (
        "data.csv",
        lines(
            "Price,Adj Close,Close,High,Low,Open,Volume",
            "Ticker,ITC.NS,ITC.NS,ITC.NS,ITC.NS,ITC.NS,ITC.NS",
            "Datetime,,,,,,",
            "2025-06-02 03:45:00+00:00,1,100.5,101,99.5,100,7533",
            "2025-06-02 03:46:00+00:00,1,100.1,101,100,100.5,4790",
        ),
        "NSE_EQ|ITC",
    ),
    "yfinance, one header line": (
        "ITC.NS.csv",
        lines(
            "Datetime,Open,High,Low,Close,Adj Close,Volume",
            "2025-06-02 09:15:00+05:30,100,101,99.5,100.5,1,7533",
            "2025-06-02 09:16:00+05:30,100.5,101,100,100.1,1,4790",
        ),
        "NSE_EQ|ITC",
    ),
    "an index as a column without name": (
        "ITC_1min.csv",
        lines(
            ",open,high,low,close,volume",
            "2025-06-02 09:15:00+05:30,100,101,99.5,100.5,7533",
            "2025-06-02 09:16:00+05:30,100.5,101,100,100.1,4790",
        ),
        "NSE_EQ|ITC",
    ),
    "an exchange in a column": (
        "prices.csv",
        lines(
            "Exchange,Ticker,Date,Time,O,H,L,C,V",
            "BSE,ITC,2025/06/02,09:15,100,101,99.5,100.5,7533",
            "BSE,ITC,2025/06/02,09:16,100.5,101,100,100.1,4790",
        ),
        "BSE_EQ|ITC",
    ),
    "objects, one a line": (
        "prices.jsonl",
        "".join(
            json.dumps(
                {
                    "symbol": "NSE:ITC-EQ",
                    "date": moment,
                    "open": row[0],
                    "high": row[1],
                    "low": row[2],
                    "close": row[3],
                    "volume": row[4],
                }
            )
            + "\n"
            for moment, row in zip(ISO, ROWS, strict=True)
        ),
        "NSE_EQ|ITC",
    ),
}


DAY_FILES = {
    "bhavcopy of NSE, layout until July 2024": (
        "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,",
        "ITC,EQ,100,101,99.5,100.5,100,99,7533,1,02-JUN-2025,3,INE154A01025,",
        "NSE_EQ|INE154A01025",
    ),
    "bhavcopy of NSE, UDiFF": (
        "TradDt,Sgmt,Src,ISIN,TckrSymb,SctySrs,OpnPric,HghPric,LwPric,ClsPric,TtlTradgVol",
        "2025-06-02,CM,NSE,INE154A01025,ITC,EQ,100,101,99.5,100.5,7533",
        "NSE_EQ|INE154A01025",
    ),
    "sec_bhavdata_full of NSE": (
        "SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST_PRICE, CLOSE_PRICE, AVG_PRICE, "
        "TTL_TRD_QNTY, TURNOVER_LACS, NO_OF_TRADES, DELIV_QTY, DELIV_PER",
        "ITC, EQ, 02-Jun-2025, 99, 100, 101, 99.5, 100, 100.5, 100.2, 7533, 1, 3, -, -",
        "NSE_EQ|ITC",
    ),
    "history of one security from the website of NSE": (
        '"Date ","series ","OPEN ","HIGH ","LOW ","PREV. CLOSE ","ltp ","close ","vwap ","52W H ","52W L ","VOLUME "',
        '"02-Jun-2025","EQ","100.00","101.00","99.50","99.00","100.00","100.50","1","2","3","7,533"',
        "NSE_EQ|M&M",
    ),
}
