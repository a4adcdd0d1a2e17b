"""A simplified, half-width copy of a text that remembers where each of its characters came from."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

# The Traditional characters residents use about homes and heating; the rest of the script is not needed here.
_TRADITIONAL = (
    "號号 樓楼 單单 層层 區区 園园 莊庄 閣阁 麗丽 華华 錦锦 龍龙 鳳凤 陽阳 東东 門门 廠厂 縣县 鄭郑 鞏巩 滎荥 開开 鄉乡 鎮镇 鋪铺 頂顶 戶户 裡里 裏里 溫温 氣气 熱热 "
    "涼凉 凍冻 濕湿 噴喷 壞坏 爛烂 閥阀 廳厅 臥卧 廚厨 廁厕 衛卫 間间 過过 還还 沒没 電电 話话 碼码 時时 從从 來来 個个 這这 們们 說说 請请 問问 謝谢 對对 錯错 換换 "
    "師师 維维 報报 費费 繳缴 錢钱 歲岁 點点 後后 給给 剛刚 讓让 處处 學学 機机 構构 銀银 貨货 軍军 醫医 車车 驗验 廣广 業业 財财 經经 農农 國国 際际 觀观 瀾澜 薈荟 "
    "憶忆 禦御 灣湾 島岛 頤颐 譽誉 銘铭 萊莱 盤盘 觸触 漢汉 銅铜 鐵铁 橋桥 爾尔 綠绿 聖圣 濱滨 蘭兰 寶宝 豐丰 興兴 順顺 達达 運运 場场 環环 級级 張张 陳陈 趙赵 楊杨 "
    "劉刘 呂吕 吳吴 孫孙 許许 馮冯 鄧邓 賈贾 韓韩 羅罗 長长 歷历 實实 帶带 幫帮 應应 該该 關关 鍵键 聯联 繫系 係系 趕赶 緊紧 嗎吗 壓压 舊旧 燒烧 煙烟 爐炉 燈灯 線线 "
    "頭头 為为 爲为 麼么 辦办 雙双 兩两 萬万 億亿 兒儿 婦妇 產产 懷怀 癱瘫 瘓痪 發发 護护 輪轮 獨独 養养 誰谁 進进 邊边 側侧 鄰邻 體体 別别 嚇吓 滲渗 濺溅 燙烫 傷伤 "
    "災灾 險险 繼继 續续 歸归 屬属 確确 認认 錄录 註注 銷销 戰战 爭争 變变 媽妈 爺爷 牆墙 縫缝 櫃柜 臺台 飯饭 鍋锅 掛挂 斷断 網网 絡络 蓋盖 聞闻 見见 覺觉 聽听 暈晕 "
    "惡恶 臉脸 紅红 慘惨 樣样 無无 聲声 響响 測测 試试 標标 準准 減减 顯显 計计 錶表 總总 閉闭 鎖锁 塊块 遠远 遲迟 離离 嬰婴 幾几 畢毕 盡尽 檔档 週周 閩闽 榮荣 樹树 "
    "檢检 暫暂 漲涨 價价 買买 賣卖 貴贵 條条 銹锈 鏽锈 鈴铃 補补 優优 質质 務务 員员 樂乐 禮礼 戲戏 賬账 帳账 賠赔 償偿 撥拨 專专 嚴严 緩缓 決决 絕绝 約约 終终 結结 "
    "繞绕 統统 緒绪 凈净 淨净 滿满 沖冲 麵面 賓宾 訴诉 詢询 謂谓 議议 調调 課课 論论 證证 識识 讀读 負负 責责 貼贴 蘆芦 葉叶 雲云 寧宁 宮宫 將将 嶽岳 庫库 廟庙 彈弹 "
    "徵征 憑凭 戀恋 拋抛 損损 摑掴 擠挤 擾扰 敗败 數数 斂敛 晝昼 曉晓 楓枫 樁桩 權权 歡欢 歐欧 殘残 氫氢 汙污 潔洁 潛潜 澤泽 灑洒 牽牵 獎奖 瑣琐 瓊琼 畫画 當当 疊叠 "
    "盞盏 眾众 睜睁 礦矿 種种 穩稳 窩窝 竈灶 節节 築筑 簽签 簡简 糧粮 紀纪 納纳 紙纸 細细 組组 縮缩 聰聪 肅肃 腦脑 膽胆 臨临 舉举 艙舱 莖茎 藥药 蟲虫 裝装 視视 設设 "
    "訊讯 託托 診诊 詞词 誤误 譚谭 譯译 貓猫 貝贝 賀贺 賽赛 躍跃 軌轨 軟软 較较 輕轻 轉转 辭辞 邁迈 鄒邹 醜丑 鋁铝 鋼钢 鎢钨 鏡镜 鐘钟 閑闲 陰阴 隊队 階阶 難难 雜杂 "
    "霧雾 靜静 韻韵 頁页 項项 預预 領领 題题 願愿 類类 顧顾 風风 飛飞 飲饮 駐驻 騎骑 魚鱼 鳥鸟 麥麦 黃黄 齊齐 龐庞 "
)
_FOLD = {pair[0]: pair[1] for pair in _TRADITIONAL.split()}
# Marks that stand for the same thing, so that later rules need one spelling of each.
_FOLD |= dict.fromkeys("－—–―‐‑‒−﹣─", "-") | dict.fromkeys("＃♯﹟", "#") | dict.fromkeys("～∼〜", "~")
_FOLD |= {"˚": "°", "º": "°", "〇": "零", "○": "零", "暧": "暖", "曖": "暖", "叁": "三", "贰": "二"}


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
