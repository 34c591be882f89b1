-- SPDX-License-Identifier: MIT
-- Readings of the gauges, one row per minute, and what the prediction said.

CREATE TABLE station (
    key        TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    datum      REAL NOT NULL,              -- metres above chart zero
    opened     DATE NOT NULL
);

CREATE TABLE reading (
    station    TEXT NOT NULL REFERENCES station (key),
    minute     TIMESTAMP NOT NULL,
    metres     REAL NOT NULL CHECK (metres BETWEEN -5 AND 20),
    pressure   REAL,                       -- hectopascal, NULL when the barometer was silent
    PRIMARY KEY (station, minute)
);

CREATE TABLE prediction (
    station    TEXT NOT NULL REFERENCES station (key),
    minute     TIMESTAMP NOT NULL,
    metres     REAL NOT NULL,
    PRIMARY KEY (station, minute)
);

-- What the weather adds: measured minus predicted, with the pressure's own share taken out.
CREATE VIEW surge AS
SELECT r.station,
       r.minute,
       r.metres - p.metres AS total,
       r.metres - p.metres - (1013.25 - r.pressure) / 100.0 AS wind
  FROM reading AS r
  JOIN prediction AS p USING (station, minute);

CREATE INDEX reading_by_day ON reading (station, date(minute));
