"""Estates that no list knows, found by the form of their name: an ending, an introduction, a building after it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nlu.numerals import HAN

_YARD = rf"[甲乙丙丁老新]?(?:\d{{1,3}}|[{HAN}]{{1,4}})(?:号院|号大院)"
# Endings that make a name by themselves, wherever they stand.
_STRONG = (
    "小区|花园|家园|家属院|家属区|家属楼|家属大院|大院|公馆|公寓|嘉园|佳园|家苑|嘉苑|佳苑|雅苑|新苑|名苑|花苑|景苑|馨苑|丽苑|翠苑|御苑|西苑|东苑|南苑|北苑|文苑|"
    "欣园|馨园|雅园|颐园|庄园|新村|新城|名城|安置区|安置房|安置小区|回迁房|回迁区|还建房|家和苑|国际城|国际|名邸|官邸|御邸|府邸|"
    "华庭|豪庭|雅庭|名庭|半岛|首府|华府|学府|御府|名府|王府|名都|花都|世家|名门|名居|雅居|丽都|国贸|壹号院|"
    "山庄|水岸|河畔|绿洲|澜庭|名郡|港湾|龙湾|尚城|社区|棚改区|"
    "(?<=[厂段所局行站厅校队社司电税])院|[东西南北老]院|商业楼|写字楼|职工楼|公租房|廉租房|老院|小筑|湾景|老家属院|首座|尚座|云筑|云境|天境|天玺|天悦|公园里|城邦|壹品|"
    "观邸|华苑|华园|名筑|新筑|福邸|福苑|福园|书苑|首邸|臻园|花屿|樾府|融府|豪园|新居|名座|悦府|逸品|庭院|新寓|雅筑|云庭"
)
# Single endings, which ordinary words have as well: they need an introduction, a building or a clause of their own.
_WEAK = "广场|大厦|时代|新区|小院|花海|花语|晴天|四季|春晓|壹号|年华|春天|别墅|和院|上城|花城|锦城|宿舍|筒子楼|领地|天下|风景|印象|江山|公元|公园|星城|一品|御景|绿都|美景|院子|盛景|小镇|大街|名品|天地|新天地|街区|苑|府|城|湾|里|村|院|园|庭|居|郡|邸|墅|轩|阁|台|洲|岸|峰|岛|寓|坊|庄|寨|营|岗|堡|屯|都|座|家|汇|筑|境|山|谷|第|屿|巷|街|门|港|林|悦|樾|郦|玺|坪|滩|畈|塆|苏|荟|镇|集|店|桥|沟|坡|峪|郭|周|湖|河|海|溪"
_NAME = r"[\u4e00-\u9fffA-Za-z0-9·]"
_PHASE = (
    r"(?:[一二三四五六七八九十\d]{1,2}期|[一二三四五六七八九]区|\d区|[A-Za-z]区|[东西南北中]区(?!域)|[东西南北中]院|"
    rf"(?<!期){_YARD}|[A-Za-z]地块|[一二三四五六七八九]组团)"
)
PHASE = re.compile(rf" ?{_PHASE}")
_ENDING = re.compile(rf"(?:(?P<strong>{_STRONG})+[汇湾]?|(?P<weak>{_WEAK}))(?P<phase>(?: ?{_PHASE}){{0,2}})")
_ROAD_YARD = re.compile(
    rf"(?P<road>[\u4e00-\u9fff]{{1,5}}(?:路|大街|街|大道|巷|道|胡同))(?P<dir>[东西南北中]段?)?(?:附)?(?P<yard>{_YARD}|\d{{1,3}}号(?!楼|线))"
    rf"(?P<phase>{_PHASE})?"
)
# The company or office whose yard it is, before its road: 省直家属院花园路59号院.
_ROAD = r"(?:[\u4e00-\u9fff]{1,4}?(?:第[一二三四五六七八九十]大街|大街|大道|路|街|巷|胡同)(?:(?:与|和|跟)[\u4e00-\u9fff]{1,4}(?:路|街|大道)))"

DISTRICT_WORDS = (
    "管城回族区|航空港区|郑东新区|高新技术开发区|经济技术开发区|高新开发区|经济开发区|高新区|经开区|金水区|二七区|中原区|管城区|惠济区|上街区|港区|东区|"
    "中牟县|巩义市|荥阳市|新密市|新郑市|登封市|中牟|巩义|荥阳|新密|新郑|登封|金水|二七|惠济|上街|管城|(?<!已)经开|高新|郑东|航空港|中原(?=[^路大万环福]{2})"
)
_REGION = re.compile(rf"(?:河南省?|郑州市?(?!大学|师范|一中|轻)|{DISTRICT_WORDS})")
_REGION_INSIDE = re.compile(r"(?:郑东新区|航空港区|港区|高新区|经开区|金水区|二七区|中原区|管城回族区|管城区|惠济区|上街区)|中牟县?|巩义市?|荥阳市?|新密市?|新郑市?|登封市?")

# What stands before a name and never in it; the name begins after the last of these.
_STOPS = re.compile(
    r"我是|我住|我在|[我俺咱恁你您他她](?:们)?(?:家(?![属园苑]))?|这[里边个儿屋]?|那[里边个儿屋]?|哪[里个儿]?|是|的(?!士)|了|吗|呢|吧|啊|呀|嘞|喽|哦|噢|哎|唉|喂|嗯|呵|哈喽"
    r"|家住|居住|住址?(?!宅)|位于|位置|地址|坐落|小区名称?叫?|名字叫?|叫做?|名为|就?在(?!水|线)|去(?:了)?|给|帮忙?|请(?:问|来|到)?|让|找|把|被|对了|从|到(?:了)?|跑|为了|为什么|为啥"
    r"|麻烦|看看|看一?下|瞧瞧|修修|修一?下|查查?|查一?下|处理|安排|派人?|来人|过来|快来|尽快|赶紧|赶快|抓紧|速来|速度|(?<![未蓬徕])来(?=[^福仪])|以后|之后|错|高价收|师傅们?|老师|客服|你好|您好|同志|大哥|美女|领导|工作人员"
    r"|今天|今早|今晚|今年|今儿|昨天|昨晚|昨夜|昨儿|前天|明天|早上|上午|中午|下午|晚上|夜里|半夜|凌晨|现在|目前|刚才|刚刚|从早|一直|已经|又是|还是|也是|都是|就是|只有|只是|不是|要是|说是|可是|但是"
    r"|天了|年了|月了|小时|分钟|[\d一二三四五六七八九十两几]+(?:天|年|个月|点(?:钟|多|半)?|日|遍|次|回|户)|月\d+号|\d号(?!院|公馆|公寓|公园|公元)|一共|大约|大概|好像|感觉|发现|听说|因为|所以|然后|而且|如果|虽然"
    r"|暖气片?|暖汽|地暖|供暖|供热|停暖|不热|不暖|没热|没暖|冰凉|好冷|太冷|很冷|漏水|渗水|爆管|水管|管道|修|漏|冷|咋|怎么样?|什么|为何|啥|没有?|不|有没有|有个|有人|有(?=[^色线])|很|太(?=[冷热少低高差不])"
    r"|核对|带客户|看(?=[^台])|开启|关断|紧急|请求|边上|跟前|那屋|这屋|报修|投诉|反映|反应|咨询|询问|问一?下|问问|交费|缴费|收费|费|物业|业主|住户|租户|用户|居民|房东|隔壁|邻居|旁边|对面|附近|斜对面|后面|前面|交叉口|交汇处|路口|向[东西南北]|往[东西南北]|路[东西南北]|以[东西南北]"
    r"|补充|更正|纠正|改成|改为|应该|写错|说错|整个|整栋|全部|所有|每个|各个|我妈|妈家|爸家|婆家|父母|爸妈|老人|孩子|朋友|同事|亲戚|单位(?!家属)|租住|新房|二手房|房子|家里|屋里|姓名|姓|电话|手机|户号|卡号|户主|先生|女士"
    r"|之前|以前|原来|原先|后来|搬|买|卖|租|还(?!建|迁)|也(?!里)|再|才(?=[能会有到是来1])|就|只|都(?=是|在|没|不|冷|凉|有|停)|跟|以及|或者?|或是|等[等着]?|另外|顺便|关于|对于|收到|谢谢|麻烦你|急急?|十万火急"
    r"|楼上|楼下|里面|门口|院里|开通|开阀|开栓|阀门|换热站|热力站|热力公司(?!家)|工单|单子|订单|我方|本人|俩|个(?!旧)|一户|户型|地方|小区叫|号线|地铁|公交站|东边|西边|南边|北边|写[上下着]?|报(?=[^社业])|嫌|说|问|想|要(?!镇)|能|会(?=[不漏有修来])|得(?!月|天|胜)|着|过(?=[^渡])|很多|好多|多少"
)
_GENERIC = re.compile(
    r"(?:整|全|本|该|老|新|旧|各|别|同|某|几|多|这|那|好|高档|高端|一般|普通|人|俺|周边|其他|其它|旁的|附近|隔壁|同一|安置|回迁|单位|商品|很多|许多|不少|一|两|两个|三个|半|封闭|开放|大|小|市|省|城市|居民|住宅|所在|另一|"
    r"街道|县|乡|农|生活|办|办事处|楼盘|老旧|旧的|租|公租|廉租|小学|中学|幼儿园|廉|老式|棚户|精装|毛坯|家庭|文明|示范|智慧|国|中国|时尚|全国|公|区|城|村|首|整片|一片|片|一整个|单身|职工|员工|学生|集体|男生|女生|集中|学校|医院|教师|老师|老年|老人|骑手|loft|LOFT|研究生|栋|幢|这栋|那栋|一栋|员工|外来|蓝领|人才|白领|单位的|隔离|博士|大学生|酒店|医护|护士|保障|拆迁|接管|新交付|交付|些|哪些|开春|明年开春|写字|小区|公司|工厂|厂|"
    r"政府|法|医|学|电影|戏|剧|养老|敬老|福利|幼儿|托儿|校|公家|人民|儿童|森林|动物|植物|湿地|商业|购物|万达|活动|服务|上|下|热|冷|冰|回|进|出|后|前|里|外|内|阳|平|吧|露|车|柜|讲|展|站|灶|锅|窗|月|舞|灶|一|第一|十)?"
)
# A name without an ending must not hold any of these: such runs of characters are ordinary talk.
_TALK = re.compile(
    r"[不没热冷暖漏冻凉吗呢吧啊呀嘞么什怎谁吃喝说想能着很们咋啥您俺恁哪哦喂嗯,，。!！?？]|[我你他她这那]|单元|户号|卡号|师傅|物业|你好|客服|"
    r"阀|管|片|费|元|钱|修|急|快|早|昨|今|明天|午|晚|整|全|每|各|楼|电话|地址|隔壁|对面|旁边|附近|后面|前面|手机|报|查|催|工单|朋友|邻居|老人|孩子|业主|租户|住户|居民|女士|先生|同志|老师|房子|房间|收|退|开|关(?:了|阀|门|断|不)|停|坏|错|帮|请|麻烦|谢|退|过|"
    r"热力|公司|小时|分钟|星期|礼拜|(?:[今昨明每几两三多]|\d)天$|[年月周度次遍户人点]$|渗|滴|滑|扰|墙|皮|袜|判断|复|像|替|告|供|恢|核|测|字|干|名下|单价|倒|太(?!阳)|起|水流|噪|声|疼|痛|双|照样|新房|号$|只|还|又$|就|才|也|再|但|因|所|为|被|把|给|从|到|去|(?<!未)来|在|是|住|有|了|过|要|会|得|个|些|啦|嘛"
)
_AFTER_REGION = re.compile(rf"(?:{DISTRICT_WORDS}|中原)$")
# Words with the endings of estates that are none: they never count as a name.
_ORDINARY = re.compile(
    r"(?:[家屋这那哪夜心手院楼村群厂店车柜井沟箱房室厅厨包盒桶碗盆锅窝地墙城口眼嘴日年月话书片坑罐雪雨冰肚怀网道洞区景缸壶瓶管水]|公|子|头|窑)里$"
    r"|(?:校|公|幼儿|菜|果|动物|植物|陵|田|乐|家|故)园$|(?:县|长|全|进|商|京|省|古|满|书|美食|中国|不夜)城$|(?:政|市|省)府$"
    r"|(?:医|法|学|电影|戏|剧|养老|敬老|福利|检察|住|出|入|大|小|后|前|全|整|满|四合|科学|国务|卫生|门诊|研究)院$|(?:邻|定|故|独|同|旧|新|民|一)居$"
    r"|(?:农|本|全|城中|同|山|小)村$|(?:国|省|人|大|公|全|一|自|回|到|别人|搬|管|谁|老|婆|娘|专|作|东|玩|行|户|独|邻)家$|平台|阳台|前台|后台|电视台|讲台|灶台|柜台|窗台"
)
_ESTATE_ENDING = re.compile(r"[苑府城湾园庭郡邸轩阁洲岛寓墅境汇屿岸樾]$|期$|区$|年华$|天下$|印象$|天地$|小镇$|御景$|美景$|时代$|坊$|壹号$|小院$|花海$")
_ESTATE_GOES_ON = re.compile(
    r"的?$|[ ,，。.!！?？;；:：、\n(（]|的|门口|[东西南北正大后]门|昨|今|明年|全|整|停|没|冇|不热|暖|供|现在|热力|换热|都|这边|那边|附近|对面|物业|院里|附近|里面|集体|各|本季|毛坯|刚|站|那边|那片|这片|新交|交房|还|咋|怎么|啥|为|这|业主|地下|路口|有人|一片|半个|几栋|好几|冰|凉"
)
_DOOR_FOLLOWS = re.compile(r"[ ,]?\d{3,4}(?!\d|度|元|块|年|平|米|号线|路)")
_COUNTED = re.compile(r"[一二两三四五六七八九十几多\d]")
_MAX_NAME = 14


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of normalised text that names an estate; `sure` when the ending alone proves it."""

    start: int
    end: int
    sure: bool


def find_unknown(text: str, anchors: Sequence[int], doors: Sequence[int], blocked: bytearray) -> list[Span]:
    """Names of estates by form. `anchors`: where a building or unit begins; `doors`: where a room does."""
    spans = list(_road_yards(text, blocked))
    spans += _by_ending(text, [*anchors, *doors], blocked)
    spans += _before_building(text, anchors, blocked)
    return _without_overlap(spans)


def _road_yards(text: str, blocked: bytearray) -> Iterator[Span]:
    """经五路2号院: the road belongs to the name because a yard number follows it."""
    for match in _ROAD_YARD.finditer(text):
        bare = not match["yard"].endswith("院")
        if any(blocked[match.start("yard") : match.end()]):
            continue
        if bare and not _address_follows(text, match.end()):
            continue
        start = _name_start(text, match.start("yard"), blocked, keep_road=True)
        if match.start("yard") - start >= 2:
            yield Span(start, match.end(), sure=True)


def _by_ending(text: str, anchors: Sequence[int], blocked: bytearray) -> Iterator[Span]:
    starts = frozenset(anchors)
    for match in _ENDING.finditer(text):
        body = match.end() - len(match["phase"])
        if any(blocked[match.start() : match.end()]):
            continue
        start = _name_start(text, match.start(), blocked)
        # 学府嘉苑, 花园家园: of two endings in a row the first may be the whole name.
        last = match["strong"] or match["weak"]
        stem = text[start : match.end("strong" if match["strong"] else "weak") - len(last)]
        whole_name = bool(match["phase"]) and last[-1] in "府苑庭"
        if not _good_stem(stem, match["strong"] or "") and not (whole_name and not stem):
            continue
        if _REGION.fullmatch(text[start : match.end()]):
            continue
        if match["strong"] or _proved(text, start, body, match.end(), starts):
            yield Span(start, match.end(), sure=bool(match["strong"]) and body > start)


def _before_building(text: str, anchors: Sequence[int], blocked: bytearray) -> Iterator[Span]:
    """橄榄谷5栋: whatever stands directly before a building, unless it is ordinary talk."""
    for anchor in anchors:
        end = anchor
        while end and text[end - 1] in " ,，、:-":
            end -= 1
        if anchor - end > 2 or text[anchor - 1 : anchor] in ("-", "/"):
            continue
        start = _name_start(text, end, blocked, least=2)
        name = PHASE.sub("", text[start:end])
        if re.fullmatch(_STRONG, name) or _GENERIC.fullmatch(re.sub(f"(?:{_STRONG}|宿舍|大厦|广场|院)$", "", name) or "小"):
            continue
        while end > start and text[end - 1] == "老":
            end -= 1
        short = len(name) == 2 and name[-1] in "苑府城湾园庭郡轩阁洲岛寓墅庐居里"
        if (short or 3 <= end - start <= 10) and not _TALK.search(name) and not _COUNTED.match(name) and _is_name(name):
            yield Span(start, end, sure=False)


def _is_name(name: str) -> bool:
    return sum("\u4e00" <= char <= "\u9fff" for char in name) >= 2 or (name.isalnum() and name[0].isupper())


def _name_start(text: str, end: int, blocked: bytearray, least: int = 1, keep_road: bool = False) -> int:
    """Where the name that ends at `end` begins: after the last stop word, region or road within reach."""
    low = end
    while low and end - low < _MAX_NAME and re.match(_NAME, text[low - 1]) and not blocked[low - 1]:
        low -= 1
    window = text[low:end]
    cut = max((match.end() for match in _STOPS.finditer(window)), default=0)
    inside = [match.end() for match in _REGION_INSIDE.finditer(window, cut) if len(window) - match.end() >= 2]
    cut = max([cut, *inside])
    for match in _REGION.finditer(window, cut):
        if match.start() == cut:
            cut = match.end()
    cut = _after_town(window, cut)
    if not (keep_road or _WORKPLACE.match(text[end : end + 4]) or text[end - 1 : end] in _WORKS):
        cut = _after_road(window, cut, least)
    return low + cut


# The yard of a works or office is known by its road: 桐柏北路电缆厂家属院.
_WORKPLACE = re.compile(r"家属|[东西南北老]?院|宿舍")
_WORKS = frozenset("厂所局段校")
_TOWN = re.compile(r"[\u4e00-\u9fff]{2,3}?(?:镇|乡|街道办事处|街道办|街道|办事处)")
_ROADS = re.compile(
    r"(?:(?:[\u4e00-\u9fff]{1,3}?(?:第[一二三四五六七八九十]{1,2}大街|大街|大道|(?<![铁公马])路|街(?!坊|区)|环(?=[东西南北路])))(?:与|和|跟)?){1,3}(?:交叉口|交汇处?|路口|附近|[东西南北]{1,2}角?)?"
)


def _after_town(window: str, cut: int) -> int:
    match = _TOWN.match(window, cut)
    return match.end() if match and match.end() < len(window) else cut


def _after_road(window: str, cut: int, least: int) -> int:
    """Skip roads before a name (花园路国贸公馆), unless nothing of a name is left (健康路|小区)."""
    match = _ROADS.match(window, cut)
    left = window[match.end() :] if match else ""
    bare = len(left) < least or _GENERIC.fullmatch(left) is not None
    return cut if match is None or bare else match.end()


def _good_stem(stem: str, strong: str) -> bool:
    if not stem or _GENERIC.fullmatch(stem) or stem[-1] in "全整本该各每":
        return False
    if not re.search(r"[\u4e00-\u9fffA-Za-z]", stem):
        return strong in {"公馆", "公寓", "小区", "公元", "家属院"} and len(stem) > 1
    return True


def _proved(text: str, start: int, body: int, end: int, starts: frozenset[int]) -> bool:
    """A weak ending counts before a building or door, or where a clause ends or speaks of the whole estate."""
    name = text[start:end]
    stem = name[: body - start - 1]
    if end - start < 3 or _TALK.search(stem) or _ORDINARY.search(name) or sum("\u4e00" <= c <= "\u9fff" for c in stem) < 1:
        return False
    if text[body - 1] == "里":
        return _lane(text, start, end, starts)
    follow = end
    while follow < len(text) and text[follow] in " ,，、:-":
        follow += 1
    if follow in starts or _DOOR_FOLLOWS.match(text, end):
        return True
    if end > body:
        return True
    if _AFTER_REGION.search(text[max(0, start - 6) : start]) and len(name) <= 5 and _ESTATE_ENDING.search(name):
        return True
    return len(name) <= 6 and _ESTATE_ENDING.search(name) is not None and _ESTATE_GOES_ON.match(text, end) is not None


def _lane(text: str, start: int, end: int, starts: frozenset[int]) -> bool:
    """兴华里: the ending that most ordinary words share, so it needs a clause of its own or an estate's words."""
    follow = end + (text[end : end + 1] in (" ", ","))
    if follow in starts or _DOOR_FOLLOWS.match(text, end):
        return True
    opened = start == 0 or re.search(r"[,，。 :：\-]$|[个叫是住名区]$", text[:start][-2:]) is not None or _AFTER_REGION.search(text[:start][-5:]) is not None
    closed = re.match(r"$|[,，。.!！ ]|的$|[东西南北大正后]门|全体|整|小区", text[end:]) is not None
    if _AFTER_REGION.search(text[:start][-5:]) or PHASE.fullmatch(text[start + 3 : end] or "-"):
        return opened and end - start <= 6
    return end - start == 3 and opened and closed


def _address_follows(text: str, end: int) -> bool:
    return bool(re.match(r"[ ,，]?(?:\d{1,2}|[一二三四五六七八九十]{1,3})(?:号楼|楼|栋|幢|#|单元|-\d)|那片|家属楼", text[end:]))


def _without_overlap(spans: list[Span]) -> list[Span]:
    """The longest of overlapping names, in text order."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)
