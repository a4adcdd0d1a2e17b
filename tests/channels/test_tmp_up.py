from bot.upsert import insert_ignoring
from bot.models import Credential
from bot import clock
def test_it(database):
    row={"name":"k","value":"v","expires_at":clock.now()}
    out=[]
    for i in range(2):
        with database.transaction() as s:
            out.append(insert_ignoring(s, Credential,[row],["name"]))
    print(out); assert out==[1,0]
