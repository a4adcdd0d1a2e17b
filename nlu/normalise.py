"""A simplified, half-width copy of a text that remembers where each of its characters came from."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

# The Traditional characters residents use about homes and heating; the rest of the script is not needed here.
_TRADITIONAL = (
    "號樓單層區園莊閣麗華錦龍鳳陽東門廠縣鄭鞏滎開鄉鎮鋪頂戶裡裏溫氣熱涼凍漏濕滴噴壞爛閥廳臥廚廁衛間過還沒電話碼時從來個這們"
    "說請問謝對錯換師維報費繳錢歲點後給剛讓處學機構銀貨軍醫車驗廣業財經農業國際觀湖瀾薈憶禦灣島頤鑫譽銘萊盤觸漢銅鐵橋"
    "爾維綠聖濱蘭馨寶豐興隆順達運場環級張陳趙楊劉呂吳孫許馮鄧賈韓羅長歷實爾帶幫應該關鍵聯繫趕緊嗎壓舊燒煙臭燃爐燈線頭"
    "為什麼沒辦雙兩萬億兒婦產懷癱瘓發燒癌護輪椅獨養誰進邊東側隔壁鄰體區別嚇壞滲淹濺燙傷災險繼續歸屬確認錄號註銷戰爭變"
    "媽爺曬牆縫隙櫃臺灣飯鍋掛斷線網絡蓋聞見覺聽暈惡倒臉紅紫慘樣無聲響應測試標準達減顯示計錶表總閉鎖塊遠遲離報"
    "嬰幾畢盡檔週閩榮樹檢暫漲減價買賣貴條銹鏽鈴補優質務員樂禮買從戲賬賠償撥專嚴緩決絕約終結續繞統緒"
)
_SIMPLIFIED = (
    "号楼单层区园庄阁丽华锦龙凤阳东门厂县郑巩荥开乡镇铺顶户里里温气热凉冻漏湿滴喷坏烂阀厅卧厨厕卫间过还没电话码时从来个这们"
    "说请问谢对错换师维报费缴钱岁点后给刚让处学机构银货军医车验广业财经农业国际观湖澜荟忆御湾岛颐鑫誉铭莱盘触汉铜铁桥"
    "尔维绿圣滨兰馨宝丰兴隆顺达运场环级张陈赵杨刘吕吴孙许冯邓贾韩罗长历实尔带帮应该关键联系赶紧吗压旧烧烟臭燃炉灯线头"
    "为什么没办双两万亿儿妇产怀瘫痪发烧癌护轮椅独养谁进边东侧隔壁邻体区别吓坏渗淹溅烫伤灾险继续归属确认录号注销战争变"
    "妈爷晒墙缝隙柜台湾饭锅挂断线网络盖闻见觉听晕恶倒脸红紫惨样无声响应测试标准达减显示计表表总闭锁块远迟离报"
    "婴几毕尽档周闽荣树检暂涨减价买卖贵条锈锈铃补优质务员乐礼买从戏账赔偿拨专严缓决绝约终结续绕统绪"
)
_FOLD = dict(zip(_TRADITIONAL, _SIMPLIFIED, strict=True))
# Marks that stand for the same thing, so that later rules need one spelling of each.
_FOLD |= dict.fromkeys("－—–―‐‑‒−﹣─", "-") | dict.fromkeys("＃♯﹟", "#") | dict.fromkeys("～∼〜", "~")
_FOLD |= {"˚": "°", "º": "°", "，": ",", "。": "。", "　": " ", "\t": " ", "\r": "\n", "〇": "零", "○": "零"}
_FOLD |= {"暧": "暖", "曖": "暖", "伍": "五", "叁": "三", "贰": "二", "壹": "壹", "陆": "陆"}


@dataclass(frozen=True, slots=True)
class Normal:
    """`text` is the normalised copy; character i of it is character `at[i]` of the original."""

    text: str
    at: tuple[int, ...]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that became text[start:end] (which is not empty)."""
        return self.at[start], self.at[end - 1] + 1


def normalise(text: str) -> Normal:
    """Fold width, script and look-alikes of any text, one character for one; invisible marks are left out."""
    chars: list[str] = []
    at: list[int] = []
    for index, char in enumerate(text):
        folded = _fold(char)
        if folded:
            chars.append(folded)
            at.append(index)
    return Normal("".join(chars), tuple(at))


@lru_cache(maxsize=8192)
def _fold(char: str) -> str:
    """One character for one character, or nothing for a mark that is not seen (keycap, joiner, variant)."""
    if char < "\x7f":
        return " " if char == "\t" else "\n" if char == "\r" else char
    if char in _FOLD:
        return _FOLD[char]
    # Enclosing keycaps and variation selectors sit between the digits of 3️⃣号楼.
    if unicodedata.category(char) in ("Cf", "Mn", "Me"):
        return ""
    wide = unicodedata.normalize("NFKC", char)
    if len(wide) != 1:
        return char
    return _FOLD.get(wide, wide)
