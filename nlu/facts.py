"""Facts beside the intent: how much is cold, how badly it leaks, who needs warmth soon."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlu.normalise import normalise
from nlu.places import read_places
from nlu.types import Facts

# Intents whose message describes a home without heat, so that a person in it may be in need.
_COLD = frozenset({"no_heat", "low_temperature", "open_valve", "urge"})
_SCOPED = frozenset({"no_heat", "low_temperature", "other_repair", "not_resolved", "urge", "open_valve", "confirm_resolved"})

_WE = r"(?:我|俺|咱|恁)(?:们)?"
_ROOM = (
    r"(?:[主次客小北南东西侧大]?卧室?|卧房|客厅|餐厅|书房|厨房|厨屋|卫生间|洗手间|厕所|浴室|阳台|飘窗|(?:儿童|小孩|孩子|老人|北|南|东|西|里|外|小|大|次|主|那|两|娃|靠北的|我妈那|老人那)(?:的)?(?:房间?|屋子?|间)|北边小卧室|里间"
    r"|[这那一两三]?(?:个)?房间|毛巾架|小?背篓|过道|玄关|衣帽间)"
)
_PIECE = r"(?<![没唯就共有]一)(?<!没有)(?<!唯)(?<!就)(?<!共)(?:[一两这那几]|个别|其中一?|第[一二三四五])(?:个)?(?:组|片(?![冰凉区小])|路(?=地暖|环路|管|不热|是|没|一直)|环路|圈|趟)(?:暖气|地暖|片子)?"
_COLDNESS = r"(?:不|没|冇|冰|凉|冷|冻|差|死|罢工|堵|比[^,，。]{0,6}低|跟冰洞|冰窖)"
_FINE = r"(?:热|正常|烫|好|暖|凑合|可以|没问题|行|ok|OK|还行|2\d度)"

_ONLY = re.compile(
    rf"(?:就|只有|单单|单|唯独|偏偏|光|唯一|独独|偏|剩)(?:剩|是)?(?P<we>{_WE})?(?:的)?(?P<what>家里?(?!家)|[这那]?(?:一)?户|[这那]?(?:一|个)?栋楼?|这(?:一|个)?楼|\d+号楼|[这那]?(?:一|个)?单元(?!门)|[这那]?(?:一|个)?门洞(?!口)|{_ROOM}|{_PIECE}|不热|没热|没有|没暖|凉|冷)"
)
_COMMUNITY = re.compile(
    r"(?:全|整|整个)(?:个)?(?:小区|院|村|家属院|片区|期|社区|院子)|小区(?:里|的)?(?:都|全|整体|普遍|所有|家家|集体|大面积|一起|没有一|好多|几栋)|家家(?:户户)?|(?<!一)整片"
    rf"|{_WE}(?:这个?)?小区(?:又|还|也|都|全|没|不|停|暖|管|片|凉|冷|今|昨|就|到现在|怎么|咋|啥|什么时候|热了|供|从|一直|的暖|的地暖)|这?一(?:大)?片(?:区|小区|都|全|没)|(?:几|多|好几|[二三四五六七八九两])(?:栋|幢|个楼|座)楼?(?:都|全|没)|所有(?:的)?楼|每栋|各栋|全院|整条街|一号院热|[一二三四]期不热|[一二三四]期(?:全|都|没|整)"
    r"|小区(?:管子|暖气|热力站|换热站)?(?:停|断|不热|没热|没暖)|新小区|我们村|俺们?村|院(?:子|里)(?:都|全|家家)"
)
_BUILDING = re.compile(
    rf"(?:整|全|这|那)(?:一|个)?(?:栋|幢|座|棟)|(?:整|全)(?:个)?楼(?!道|梯|层|最)|一(?:整)?(?:栋|幢)(?:楼)?(?:都|全|没|的|人|不|上下)|{_WE}(?:这|那)?(?:个|一)?(?:楼(?![上下道层梯顶门后前头])|栋|幢|棟)|本楼|这个楼(?!道|梯)|大楼|这楼(?!道|梯|上|下)"
    r"|楼里(?:都|全|没|家家)|每层都"
)
_STOREYS = re.compile(r"从(?:一|1)(?:楼|层)到(?:顶|十|\d|[二三四五六七八九])|一(?:楼|层)?到(?:六|七|顶|十)[一二三四五六七八九]?[楼层]")
_UNIT = re.compile(
    rf"(?:整|全|这|本|那)(?:一|个)?(?:个)?(?:单元|门洞)|{_WE}(?:这|那)?(?:一|个)?(?:单元(?!门)|门洞(?!口)|一溜|竖条)|(?:一|整)(?:个)?(?:单元|门洞|竖条)(?:都|全|的)|单元(?:里)?(?:都|全|集体|整体|家家|所有|全体)|这一溜|同一?根?立管(?:的)?(?:都|全)|上下(?:几|三|两|四|五)户都|单元门?楼?(?:里)?(?:没有?一)"
)
_HOME = re.compile(
    r"(?:全|整)(?:个)?屋|整个家(?!属)|(?:屋里|家里|我家|俺家)(?:的)?(?:所有|每|一片|一组|全部|哪|全)|(?:所有|每个|每组|几个|全部|各个)(?:的)?(?:暖气片?|片子|房间|屋子?|屋|卧室)|(?:四|三|五|六)(?:组|个屋|间|片)(?:都|全|没)|哪(?:个|组|间)(?:屋|片|房间)?都|没(?:有)?一(?:片|组|间|处)"
    r"|(?:楼上|楼下|对门|邻居|隔壁|左右|上下|别人|人家|别家|其他人|四邻)[^,，。不没冇]{0,8}(?:都|也|家)?[^,，。不没冇]{0,3}(?:热|有|正常|烫|暖和)[^。]{0,12}(?:我|俺|咱)(?:们)?(?:家|这)?[^。]{0,8}(?:不|没|冇|凉|冰|冷|1\d)"
)
_ROOM_FAULT = re.compile(
    rf"(?:{_ROOM}|{_PIECE})(?:的|里|那)*(?:暖气片?|片子|片儿?|地暖|那?[一两几]?(?:组|片|路|根|边|间|个|块)|管子?|温度|回路|环路|的|就|那|这|里|还|却|全|都|一直|始终|依旧|依然|仍|怎么|咋|摸着|是|根本|压根|老|总|今天|又|到现在|一点|从来|从头到尾|死活){{0,4}}{_COLDNESS}"
)
_ROOM_CONTRAST = re.compile(rf"{_ROOM}[^。]{{0,10}}{_FINE}[^。]{{0,14}}{_ROOM}|其他(?:几个|的)?(?:屋|房间|组|片|都|环路)|别的?(?:屋|房间|都|组)|别嘞屋|其余")

_BURST = re.compile(
    r"爆|炸|崩(?!溃)|喷|滋(?!滋响)|呲|[嘶嗞]{2}|烫|淹|瀑布|水柱|水漫|灌(?:进|到|我|下|入|满)?|漫(?:到|过|出|进|上|金山)|涌|飙|射|冲(?:出|到|开|上)|止不住|关不住|挡不住|堵不住|接不住|接不及|滚烫|哗哗|哗啦|成河|满屋|水帘|电梯|脚麻|有电|打到[^,，。]{0,4}(?:墙|天花板)|堵头飞"
    r"|(?:电箱|电表|配电|插座|插排|电线|开关|电路|电脑|灯)|(?:流|漏|渗|滴|泡|跑|淌)(?:到|了|进|透|湿)*(?:楼下|人家|下面|邻居|二楼|三楼|一楼)|楼下(?:天花板|家|都|也)?[^,，。]{0,6}(?:淹|泡|湿透|漏|遭殃)|泡了楼|给楼下"
)
_NOT_BURST = re.compile(r"不(?:会)?(?:烫|爆|喷)|会不会爆|别爆|怕爆|快爆|要爆|没爆|怕(?:烫|淹)|没淹|防止爆|温的|压力爆|爆料|爆满|朋友圈.{0,3}爆|爆炸式|气炸|急爆|群里都?炸|炸锅|气爆|爆表|冲泡|射灯|吊灯|灯泡没")
_DRIP = re.compile(
    r"滴|渗|洇|阴(?:湿|出)|潮|返碱|湿|水珠|水渍|慢慢|一点点|有点漏|漏得?(?:不大|不厉害|不多)|不大|冒汗|冒水珠|发霉|水印|水痕|长毛|锈水印|小漏|微漏|漏一点|点点|哭|丝丝|细细|鼓包|翘"
)
_NEED = re.compile(
    r"老(?:年)?人(?!言|家属院|机|院)|老太|老爷子|老头|老伴|老两口|老母|老父|老娘|老爹|老妈|老爸|老公公|年纪大|上(?:了)?(?:年纪|岁数)|岁数大|(?:[六七八九]十(?:[一二三四五六七八九多来几])?|百|[6-9]\d)(?:多)?(?:岁|的(?:人|老|妈|爸|爹|娘|奶|爷))|(?:七老八十|古稀|耄耋|高龄|独居老)"
    r"|(?:爸|妈|爷爷?|奶奶?|婆婆?|公公|姥姥|姥爷|外婆|外公|太太|父亲|母亲|奶|老太太)[^,，。]{0,6}(?:[六七八九]十|[6-9]\d|百岁)|(?:爷爷|奶奶|姥姥|姥爷|外婆|外公|婆婆|公公|岳母|岳父|太奶|老奶)"
    r"|婴儿|宝宝(?!们)|小宝(?!贝)|新生儿|刚?出生|满月|月子|[半一二两三四五六七八九十\d]{1,3}个(?:多)?月(?:大)?(?:的)?(?:娃|孩|宝|孙|女儿|儿子|闺女|小)|(?:娃|孩子|宝|孙女?|女儿|儿子|闺女|小的|外孙女?)[^,，。]{0,5}(?:才|刚|[一二两三四五六七八九十\d]{1,2}个(?:多)?月|[一两半二三]岁|满周|周岁|断奶)|吃奶|喂奶|断奶|尿布|尿不湿|奶瓶|奶粉|襁褓|早产|包被|喂母乳|周岁|刚会爬|洗屁股|娃[^,，。]{0,4}爬|俩月|个月的?(?=$|[,，。])|黄疸|产后|重孙|重外甥|太孙|会走路"
    r"|孕|怀着|大肚子|预产|待产|产妇|坐月|双胞胎|胎"
    r"|生病|病人|有病|重病|卧床|瘫|偏瘫|发烧|发高烧|高烧|又?烧到[三四3]|流鼻涕|鼻炎|老骨头|老命|八十往上|感冒|咳|哮喘|气管炎|支气管|肺炎|化疗|放疗|手术(?!台)|住院|出院|骨折|中风|脑梗|脑溢|风湿|类风湿|关节炎|寒腿|关节(?:疼|痛)|心脏|高血压|血压|透析|残疾|轮椅|癌|病号|输液|养病|术后|哆嗦病|老毛病|肺(?:心|气)|冻病|喘得|阿尔茨|痴呆|植物人|糖尿病|腿疼|尿毒|静养|气喘|搭桥|支架|坐便|插管|吸氧|制氧"
)
_NOT_NEED = re.compile(r"老人家属院|老年手机|老年机|宝宝们?(?:暖|贴)|暖宝宝|老头衫|老师傅|老人卡|奶茶|感冒药都|病毒|毛病|有病吧|有病啊|神经病|你们有病|通病|奶奶的|尼玛|太太平平|老毛病又|楼下(?:的)?(?:大爷|老太太?)(?:上来|来)|老人(?:的)?(?:名字|名下|过世|去世|不在了)|胎压|双胞胎楼|管子咳|咳嗽声|像咳|老头(?:子)?(?:遛|跳|下)|感冒不赔|给病人|病人换|拿奶|奶粉桶|就医|孩儿她奶|冻感冒了?🤧|要冻感冒")


def read_facts(text: str, intent: str, also: Sequence[str] = ()) -> Facts:
    """What the message states beside its intent; severity only where a leak is among the intents."""
    plain = normalise(text).text[:1000]
    intents = {intent, *also}
    return Facts(
        scope=_scope(plain, intents) if intents & _SCOPED else None,
        severity=_severity(plain) if "leak" in intents else None,
        need=_need(plain) if intents & _COLD else None,
    )


_WIDE = (("community", _COMMUNITY), ("building", _BUILDING), ("unit", _UNIT), ("building", _STOREYS))


def _scope(text: str, intents: set[str]) -> str | None:
    """The widest part that is said to be affected, unless the text says that it is only a smaller one."""
    if only := _only(text):
        return only
    for scope, pattern in _WIDE:
        if pattern.search(text):
            return scope
    if listed := _listed(text):
        return listed
    if intents == {"confirm_resolved"}:
        return None
    if _HOME.search(text):
        return "home"
    if _ROOM_FAULT.search(text) or (_ROOM_CONTRAST.search(text) and re.search(_COLDNESS, text)):
        return "room"
    return None


_ONLY_SCOPES = (("unit", r"单元|门洞"), ("building", r"栋|楼"), ("home", r"家|户"))


def _only(text: str) -> str | None:
    """整个小区就我们这栋楼是冷的: what is said to be the only one."""
    for match in _ONLY.finditer(text):
        what = match["what"]
        if re.match(r"(?:暖气|那组|的)?(?:有|热|正常|烫)(?!不|没)", text[match.end() :]):
            continue
        for scope, words in _ONLY_SCOPES:
            if re.search(words, what):
                return scope
        if re.fullmatch(_ROOM, what) or re.fullmatch(_PIECE, what):
            return "room"
        if match["we"]:
            return "home"
    return None


def _listed(text: str) -> str | None:
    """Several rooms of one unit, or a building or unit that is cold as such (3号楼全没暖)."""
    parts = [part for part in read_places(text) if part.kind in ("building", "unit", "room")]
    rooms = {part.value for part in parts if part.kind == "room"}
    if len(rooms) >= 2:
        return "unit"
    if rooms or not parts:
        return None
    after = text[parts[-1].end : parts[-1].end + 12]
    if re.match(r"(?:的)?[^,，。!！]{0,8}?(?:都|全|集体|整|没一|没有一|家家|普遍|好几户|几户|停暖|停热|停供|断)", after):
        return "unit" if parts[-1].kind == "unit" else "building"
    return None


def _severity(text: str) -> str | None:
    """burst before drip: who is scalded or flooded may also mention drops."""
    cleaned = _NOT_BURST.sub("", text)
    if _BURST.search(cleaned):
        return "burst"
    return "drip" if _DRIP.search(text) else None


def _need(text: str) -> str | None:
    return "yes" if _NEED.search(_NOT_NEED.sub("", text)) else None
